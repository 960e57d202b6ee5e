"""The embedded event store: one DuckDB file, one owning process."""
