"""Holdouts: shares of units that are kept out of a set of experiments."""
