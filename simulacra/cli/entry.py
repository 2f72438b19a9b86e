"""The command line itself: the app, its groups, its languages, and how errors are shown."""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar, get_args

from cyclopts import App, ArgumentCollection
from cyclopts.exceptions import CoercionError, CycloptsError

import simulacra
from simulacra import messages
from simulacra.cli.help_format import HelpFormatter
from simulacra.cli.language import localise, take_language
from simulacra.errors import SimulacraError

Command = TypeVar("Command", bound=Callable[..., None])

GROUPS = ("start", "data", "train", "judge", "create", "share", "extend")  # by work, in the order of use
GROUP_OF: dict[str, str] = {}  # by command
EXAMPLES: dict[str, str] = {}  # by command


def refuse_fractions(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Raise CoercionError for a fraction where a whole number is asked for, which cyclopts would round."""
    for argument in arguments:
        for token in argument.tokens:
            if int in (argument.hint, *get_args(argument.hint)) and "." in token.value:
                raise CoercionError(argument=argument, token=token, target_type=int)


app = App(
    name="simulacra",
    help="Turn a folder of your own pictures into a generator of new ones.",
    version=simulacra.__version__,
    suppress_keyboard_interrupt=False,  # `main` says that it stopped
    help_format="plaintext",
    help_formatter=HelpFormatter(),
    config=(refuse_fractions,),
)
app.register_install_completion_command(add_to_startup=False)
_order = itertools.count()


def command(group: str, example: str, name: str | None = None) -> Callable[[Command], Command]:
    """Decorator: hang a function on `app` as a command of a group, after those registered before it."""

    def register(function: Command) -> Command:
        called = name or function.__name__.replace("_", "-")
        GROUP_OF[called], EXAMPLES[called] = group, example
        app.command(function, name=called, sort_key=next(_order))
        return function

    return register


def set_threads(threads: int | None) -> None:
    """`device.set_threads`, which imports torch only where there is something to set."""
    if threads is not None:
        from simulacra import device

        device.set_threads(threads)


def main() -> None:
    """The `simulacra` command. An error that a user can put right is one sentence on stderr, and exit status 1."""
    words = sys.argv[1:]
    try:
        words, language = take_language(words)
        messages.set_language(language)
        localise(app, GROUPS, GROUP_OF, EXAMPLES)
        app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        from simulacra.cli.usage import explain

        _stop(explain(app, error, words, EXAMPLES), 2)
    except SimulacraError as error:
        _stop(f"simulacra: {error}", 1)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # another one would interrupt Python's own end, with a traceback
        _stop(f"\nsimulacra: {messages.text('cli.stopped')}", 130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _stop(sentence: str, status: int) -> Any:
    from simulacra.console import errors

    errors.print(sentence, markup=False)
    sys.exit(status)
