"""Bayesian inference: beliefs about an effect instead of tests of it."""
