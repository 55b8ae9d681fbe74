"""Processes of others that look at an answer before it is told."""
