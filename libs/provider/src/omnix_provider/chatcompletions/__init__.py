"""OpenAI's chat format and its embeddings, as many servers speak them."""
