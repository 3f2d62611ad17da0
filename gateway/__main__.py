"""``gateway``, and ``python -m gateway``: nothing is imported before a server heeds SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    if sys.argv[1:2] == ["serve"]:
        # The kernel keeps from a container's first process every signal it has no handler for,
        # and the imports take half a second. The server's own handler takes this one's place.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from gateway.cli import main as run

    run()


if __name__ == "__main__":
    main()
