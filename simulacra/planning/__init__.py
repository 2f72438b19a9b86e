"""How many pictures are needed: short runs on parts of a dataset, and what twice as many would bring."""
