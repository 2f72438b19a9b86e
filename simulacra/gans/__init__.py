"""The games: one file each, read top to bottom."""
