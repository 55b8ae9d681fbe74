"""What every provider adapter shares: types, servicer, chunk publisher, usage spool, errors."""
