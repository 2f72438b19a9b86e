"""Pictures of one domain made into pictures of the other, by a model trained for it."""

from simulacra.translation.folder import Translated as Translated
from simulacra.translation.folder import translate as translate
from simulacra.translation.single import translate_image as translate_image
