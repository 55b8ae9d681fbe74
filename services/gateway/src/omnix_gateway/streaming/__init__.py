"""Streams of chunks: in order, whole, or ended with a reason."""
