"""Networks whose features scores compare, with their weights and a cache."""
