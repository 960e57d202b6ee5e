"""The decision rule: from the tests of all metrics to one recommendation, with its reasons."""
