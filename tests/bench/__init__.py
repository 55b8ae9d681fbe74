"""Measures OmniX against other gateways, side by side, over one upstream."""
