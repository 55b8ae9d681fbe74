"""A chat completion in OpenAI's words and in OmniX's."""
