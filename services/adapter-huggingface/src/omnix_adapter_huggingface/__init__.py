"""Hugging Face's inference providers and endpoints behind the provider contract."""
