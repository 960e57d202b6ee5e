"""Simulation: what a design does when the truth is known."""
