"""`python -m simulacra`: the same as the command."""

from simulacra.cli import main

main()
