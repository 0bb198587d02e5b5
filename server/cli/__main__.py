"""`python -m server.cli` is `clip2protect`."""

import sys

from server.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
