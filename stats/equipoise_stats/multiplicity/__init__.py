"""Several tests at once: adjusted p-values, and intervals that agree with them."""
