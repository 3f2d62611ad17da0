"""Locust without its changes to the standard library, which no other test shall run with."""

from __future__ import annotations

import os

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
import locust  # noqa: F401

# Locust in a process of its own needs them.
del os.environ["LOCUST_SKIP_MONKEY_PATCH"]
