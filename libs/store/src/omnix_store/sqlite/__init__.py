"""The port over SQLite: one file, one writing thread, a few reading ones."""
