"""Embeddings in OpenAI's words and in OmniX's."""
