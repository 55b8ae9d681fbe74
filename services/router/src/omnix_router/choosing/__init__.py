"""Choosing a model for callers who say what they need, or just ``auto``."""
