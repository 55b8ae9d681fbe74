"""Processes of others that are called around completions."""
