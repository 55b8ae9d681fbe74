"""Adapters that nobody configured: they say in their heartbeats where they are, and the operator says who may."""
