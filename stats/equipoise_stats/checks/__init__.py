"""Checks: whether the data of an experiment can be believed at all."""
