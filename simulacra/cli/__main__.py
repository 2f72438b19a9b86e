"""`python -m simulacra.cli`, which `torchrun -m simulacra.cli` needs."""

from simulacra.cli.entry import main

main()
