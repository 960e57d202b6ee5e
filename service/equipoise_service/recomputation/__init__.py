"""Recomputation: assignments follow from the configuration alone, so anybody can compute them again."""
