"""Every sentence that a person reads in a readout, by subject, so that others can translate it."""
