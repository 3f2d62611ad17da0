"""What the user classes are called."""

from __future__ import annotations

import re

from gateway.models.manifest import Manifest


def class_names(manifest: Manifest) -> dict[str, tuple[str, str]]:
    """Backend and lineage by the name of the class that asks them, in the manifest's order.

    ``OnnxUser``; where a backend has several lineages, ``OnnxPytorchUser`` and so on.
    """
    names: dict[str, tuple[str, str]] = {}
    for backend, spec in manifest.backends.items():
        for lineage in spec.lineages:
            several = len(spec.lineages) > 1
            name = _word(backend) + (_word(lineage) if several else "") + "User"
            # "my-server" and "my_server" would be the same.
            while name in names:
                name += "_"
            names[name] = backend, lineage
    return names


def classes_of(manifest: Manifest, who: str) -> list[str]:
    """The classes of ``backend``, or of ``backend/lineage``; empty where there are none."""
    return [
        name
        for name, (backend, lineage) in class_names(manifest).items()
        if who in (backend, f"{backend}/{lineage}")
    ]


def _word(text: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^0-9A-Za-z]+", text))
