"""The OpenAPI document's order for readers: a tag and a summary for each operation."""

from __future__ import annotations

from typing import Any

#: Each tag: its name, what it stands for, and how the paths begin that are of it, the first wins.
_TAGS = (
    ("Predict", "Ask a model.", ("/v1/predict", "/v1/compare")),
    ("Models", "What is served.", ("/v1/models", "/openapi.json")),
    ("Watch", "How the gateway and the backends do.", ("/healthz", "/readyz", "/metrics")),
    ("Manage", "Backends, routing and shadows.", ("/v1/",)),
)


def outline(document: dict[str, Any]) -> dict[str, Any]:
    """The document, its operations tagged and each with its description's first sentence."""
    used = set()
    for path, item in document["paths"].items():
        name = next(name for name, _, starts in _TAGS if path.startswith(starts))
        used.add(name)
        for operation in item.values():
            operation["tags"] = [name]
            operation["summary"] = _first_sentence(operation["description"])
    document["tags"] = [
        {"name": name, "description": about} for name, about, _ in _TAGS if name in used
    ]
    return document


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].rstrip(".")
