"""Routes that are written through the API: stored with their versions, and in force at every router."""
