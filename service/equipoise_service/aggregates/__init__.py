"""Aggregates: units and their values, kept in the event store, so that a refresh reads only what is new."""
