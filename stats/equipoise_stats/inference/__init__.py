"""Inference: from an estimate to intervals, a p-value and a verdict, under one rule for when one may look."""
