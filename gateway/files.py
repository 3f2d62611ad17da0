"""How many files, and so connections, this process may have open."""

from __future__ import annotations

import sys

#: Files left for models, backends and the rest.
_SPARE = 256

if sys.platform == "win32":

    def raise_limit(clients: int) -> int:
        """Windows has no such limit."""
        return clients

    def clients_within_limit(clients: int) -> int:
        """Windows has no such limit."""
        return clients

else:
    import resource

    def raise_limit(clients: int) -> int:
        """Raise the soft limit as far as so many clients need; returns how many it allows."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY:
            needed = clients + _SPARE
            allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
            if allowed > soft:
                resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        return clients_within_limit(clients)

    def clients_within_limit(clients: int) -> int:
        """So many clients, or fewer where the soft limit leaves room for fewer."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return clients
        return min(clients, max(soft - _SPARE, soft // 2))
