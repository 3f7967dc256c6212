"""``python -m mopo_tf2``: the command ``mopo-tf2``."""

import sys

from mopo_tf2.experiments.cli import main

if __name__ == "__main__":
    sys.exit(main())
