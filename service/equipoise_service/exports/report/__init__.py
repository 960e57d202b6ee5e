"""The HTML report of a readout: one file, with its figures inside."""
