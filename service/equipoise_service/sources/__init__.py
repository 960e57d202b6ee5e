"""Sources: facts that already lie in a warehouse, read where they are through Ibis."""
