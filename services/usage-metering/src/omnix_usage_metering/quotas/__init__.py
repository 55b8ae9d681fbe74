"""Limits: how much may be used, and how what is left is shared out among the gateways."""
