"""From a data set and a game to a run: plays, checkpoints, journal."""
