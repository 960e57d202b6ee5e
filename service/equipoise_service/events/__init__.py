"""Exposures and events: read, checked, deduplicated, committed in groups, acknowledged when on disk."""
