"""Figures of analytics, as the API asks for and tells them."""
