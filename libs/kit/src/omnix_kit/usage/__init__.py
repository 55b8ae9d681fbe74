"""Usage events as every consumer of them reads them."""
