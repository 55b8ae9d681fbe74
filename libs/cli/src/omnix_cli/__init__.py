"""The omnix command: runs the suite on one machine and talks to its API."""
