"""Progressive rollouts: a flag goes from one variant to another in steps on a schedule."""
