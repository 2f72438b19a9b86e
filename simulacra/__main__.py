"""`python -m simulacra`: the command line, where the `simulacra` command is not on the path."""

from simulacra.cli import main

main()
