"""The laboratory: what a game's losses do where one can see it, in the plane and on stacked digits."""
