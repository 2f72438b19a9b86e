"""How good a generator is: features of pictures, distances between them, intervals and what is built on these."""
