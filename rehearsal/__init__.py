"""Rehearsals: simulated experiments with known truth through a real service, whose clock is moved by days."""
