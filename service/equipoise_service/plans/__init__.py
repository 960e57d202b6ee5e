"""Analysis plans: what is decided before the data come, locked at the start."""
