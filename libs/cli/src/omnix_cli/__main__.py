"""`python -m omnix_cli` is the `omnix` command."""

from omnix_cli.app import main

if __name__ == "__main__":
    main()
