"""Previews of metrics: what a definition finds in the facts that are there."""
