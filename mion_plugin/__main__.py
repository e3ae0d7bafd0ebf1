"""``python -m mion_plugin``: the command ``mion``."""

import sys

from mion_plugin.console import main

if __name__ == "__main__":
    sys.exit(main())
