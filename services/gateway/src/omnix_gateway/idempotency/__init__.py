"""Calls that are made once for each key that their callers give them."""
