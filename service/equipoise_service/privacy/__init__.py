"""What the service remembers of units: how their ids are stored, and which of them were erased."""
