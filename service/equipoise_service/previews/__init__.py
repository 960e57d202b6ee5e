"""Previews of metrics: what a definition finds in the facts that are there, before an experiment relies on it."""
