"""A/A experiments replayed from real data, day by day, through the readout's public door."""
