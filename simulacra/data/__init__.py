"""Pictures in, a packed data set out: inspect, prepare, open."""
