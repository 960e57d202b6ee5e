"""Estimates: from the sufficient statistics of two arms to an effect and all that inference needs of it."""
