"""Scores of translators: both directions, the way there and back, ground-truth pairs."""
