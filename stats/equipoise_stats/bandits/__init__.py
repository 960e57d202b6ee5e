"""Bandits: who gets the next units, and what may be said about the arms afterwards."""
