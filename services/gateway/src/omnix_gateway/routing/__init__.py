"""The router's routes, as the API tells and takes them."""
