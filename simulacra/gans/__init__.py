"""The GANs: one file each, read top to bottom."""
