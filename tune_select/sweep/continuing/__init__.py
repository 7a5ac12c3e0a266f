"""Going on with finished sweeps: more configurations on the same history, one report over all."""
