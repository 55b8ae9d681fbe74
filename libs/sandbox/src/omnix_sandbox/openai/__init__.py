"""OpenAI's wire format: chat completions and models."""
