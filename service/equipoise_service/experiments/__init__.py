"""Experiments: registered, started, paused, stopped; each start a revision of its randomisation."""
