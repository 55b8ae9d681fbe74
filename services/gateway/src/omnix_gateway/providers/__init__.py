"""How the providers behind the router fare, as the API tells it."""
