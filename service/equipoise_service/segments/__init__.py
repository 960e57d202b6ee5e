"""Segments: reusable, named audiences, either a condition or a list of ids."""
