"""The public HTTP API of OmniX: OpenAI's paths, bodies and streams."""
