"""Performance claims as scripts: each prints ratios against its floor, measured in the same run."""
