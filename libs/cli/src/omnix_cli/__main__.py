"""`python -m omnix_cli` is the `omnix` command."""
