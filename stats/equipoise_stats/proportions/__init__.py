"""Proportions and counts of events: methods that are exact, or that keep test and interval together."""
