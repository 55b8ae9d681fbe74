"""The port over MongoDB and the servers compatible with it."""
