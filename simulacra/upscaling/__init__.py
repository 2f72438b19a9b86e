"""Larger pictures: upscalers of a run, trained on the originals of its data, and how good they are."""
