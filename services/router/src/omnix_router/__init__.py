"""Chooses the target of each completion, retries and fails over."""
