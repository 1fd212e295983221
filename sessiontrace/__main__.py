"""``python -m sessiontrace``: the same as the command ``sessiontrace``."""

import sys

from sessiontrace.cli import main

if __name__ == "__main__":
    sys.exit(main())
