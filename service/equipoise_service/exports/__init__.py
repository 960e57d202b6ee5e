"""Ways out of a readout: tables, figures, a report and a notebook, made of nothing but the readout."""
