"""`python -m omnix_cli` is the `omnix` command."""

from omnix_cli.main import main

if __name__ == "__main__":
    main()
