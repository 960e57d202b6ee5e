"""The event store in PostgreSQL: any number of processes write to it beside each other."""
