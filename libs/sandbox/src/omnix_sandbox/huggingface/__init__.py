"""Hugging Face's wire formats: the router of inference providers, TGI, TEI and hf-inference."""
