"""What callers may say of who shall answer, the same for chat and embeddings."""
