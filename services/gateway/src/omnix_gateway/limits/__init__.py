"""How much callers may use: what they are admitted by, and what is leased for it."""
