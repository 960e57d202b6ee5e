"""Analysis: from exposures and facts, wherever they lie, to the sufficient statistics of each arm."""
