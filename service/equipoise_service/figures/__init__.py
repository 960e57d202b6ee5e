"""Figures of a readout: Vega-Lite specifications made of nothing but the readout."""
