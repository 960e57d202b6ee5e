"""Layers: spaces of 10,000 slots. Experiments in one layer own disjoint slots, so they exclude each other."""
