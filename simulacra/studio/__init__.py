"""One page from a folder of pictures to a picture worth keeping: `simulacra studio`."""
