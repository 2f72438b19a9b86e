"""The process of one command that the studio started: `python -m simulacra.studio.child FOLDER WORDS…`.

It holds the lock of its folder as long as it lives, so anybody can see whether it does, also after the server was killed;
its status is written last.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path

from filelock import FileLock

from simulacra.files import write_json

LOCK, BEGUN, STATUS = ".lock", "begun.json", "status.json"
NICE = 5  # the page stays quick while a training takes all processors
STOPPED = 130  # status of a command that was asked to stop


def main() -> None:
    """Carry out the command, as if it had been typed."""
    folder = Path(sys.argv[1])
    with FileLock(folder / LOCK):
        write_json(folder / BEGUN, {"pid": os.getpid()})
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # commands without a handler of their own clean up
        if hasattr(os, "nice"):
            os.nice(NICE)
        status = 1  # of an exception that nobody expected; Python prints it
        try:
            sys.argv = ["simulacra", *sys.argv[2:]]
            runpy.run_module("simulacra", run_name="__main__")
            status = 0
        except KeyboardInterrupt:  # before the command line could say so
            status = STOPPED
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        finally:
            write_json(folder / STATUS, {"status": status})


if __name__ == "__main__":
    main()
