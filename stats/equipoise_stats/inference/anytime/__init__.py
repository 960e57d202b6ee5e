"""Anytime-valid inference: look as often as you like, stop when you like, at one level for all looks."""
