"""Answers that broke off after their first content, and how another attempt goes on with them."""
