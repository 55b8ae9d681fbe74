"""Choosing models by requirements, in the API's words."""
