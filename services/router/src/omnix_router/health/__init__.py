"""How providers and their targets fare, here and as all routers know it together."""
