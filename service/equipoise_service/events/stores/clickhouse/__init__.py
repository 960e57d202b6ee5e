"""The event store in ClickHouse: any number of processes write to it beside each other."""
