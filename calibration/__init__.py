"""Validity as measurement: every method simulated where the truth is known, and held to its level."""
