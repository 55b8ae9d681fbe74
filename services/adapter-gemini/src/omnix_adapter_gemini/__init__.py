"""Google Gemini behind the provider contract."""
