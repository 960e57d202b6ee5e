"""Jobs: what takes seconds is done by workers, outside of requests, from one queue."""
