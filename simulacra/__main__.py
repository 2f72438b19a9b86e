"""`python -m simulacra`: the command line, where the `simulacra` command is not on the path."""

import sys

try:
    from simulacra.cli import main
except KeyboardInterrupt:  # before the command line can say that it stopped
    sys.exit(130)

main()
