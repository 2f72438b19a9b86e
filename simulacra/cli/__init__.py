"""The commands, each a few lines over a function that lives elsewhere. Nothing heavy is imported before it is needed."""

from simulacra.cli import about, create, data, extend, hub, judge, sculpt, share, train, translate, worth  # noqa: F401  (each hangs its commands on `app`)
from simulacra.cli.entry import app as app
from simulacra.cli.entry import main as main
