"""Readouts: the result of an analysis, with everything needed to recompute it."""
