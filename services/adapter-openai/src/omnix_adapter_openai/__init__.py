"""OpenAI and OpenAI-compatible servers behind the provider contract."""
