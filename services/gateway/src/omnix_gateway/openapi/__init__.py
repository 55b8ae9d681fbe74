"""The OpenAPI document: every operation of the API, and what is made of them."""
