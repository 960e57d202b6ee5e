"""Evaluation over HTTP: the configuration document and the assignments that follow from it."""
