"""Metrics: what is measured of each unit."""
