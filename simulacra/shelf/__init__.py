"""Datasets and runs under a folder: what each holds, in a table or as JSON; renamed, thrown away and brought back."""
