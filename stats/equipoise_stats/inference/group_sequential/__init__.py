"""Group-sequential inference: looks at data that accumulate, under one error rate for all of them."""
