"""Translation of pictures from one domain to the other."""

from simulacra.translation.folder import TranslationSummary as TranslationSummary
from simulacra.translation.folder import translate as translate
from simulacra.translation.single import translate_image as translate_image
