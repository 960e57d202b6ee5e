"""What every route shares: bodies with limits, problem documents, pages, preconditions, idempotency."""
