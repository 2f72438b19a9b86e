"""`python -m simulacra.cli`, for torchrun and wherever the command is not on the path."""

from simulacra.cli.entry import main

main()
