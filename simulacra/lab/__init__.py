"""Experiments on toy data where mode collapse can be counted: points of the plane and stacked digits."""
