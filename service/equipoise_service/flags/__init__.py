"""Flags: named, typed runtime values that code asks for."""
