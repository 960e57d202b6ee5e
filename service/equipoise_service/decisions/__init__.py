"""Decisions: what people predicted before the start, what they decided on which readout, and why."""
