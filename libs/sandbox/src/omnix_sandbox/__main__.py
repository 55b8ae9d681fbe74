import sys

from omnix_sandbox.main import main

if __name__ == "__main__":
    sys.exit(main())
