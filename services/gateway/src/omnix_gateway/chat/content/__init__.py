"""Images, sounds, films and documents inside a chat: what they are, and where they come from."""
