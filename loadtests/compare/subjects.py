"""Who is compared: every way the gateway offers to ask for a prediction of the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway import client
from gateway.errors import GatewayError
from gateway.models.manifest import Manifest
from loadtests.compare.errors import CompareError
from loadtests.compare.results import Subject
from loadtests.users.manifests import described


@dataclass(frozen=True)
class Offer:
    """What a running gateway serves of one model; ``absent`` says who does not answer, and why."""

    url: str
    manifest: Manifest
    version: str
    subjects: list[Subject]
    absent: list[str]


async def ask_offer(
    url: str, model: str | None, version: str | None, backends: Sequence[str]
) -> Offer:
    """Ask the gateway at ``url`` what it serves of ``model``, the only one where it is None.

    ``backends`` chooses: ``onnx`` for all lineages of it, ``onnx/pytorch`` for one; one named
    twice is compared with itself. Empty: all. Raises :class:`CompareError` where the gateway, the
    model or a named backend is not there or does not answer.
    """
    description, survey = await describe(url, model, version)
    manifest = described(description)
    offered, absent = _offered(manifest, description["version"], survey)
    chosen = _chosen(offered, absent, backends) if backends else list(offered.values())
    if not chosen:
        raise CompareError(f"no backend of {manifest.name} answers: {'; '.join(absent.values())}")
    return Offer(url, manifest, description["version"], _numbered(chosen), list(absent.values()))


async def describe(url: str, model: str | None, version: str | None = None) -> tuple[Any, Any]:
    """The gateway's own words on a model, the only one where it is None, and on its backends.

    Raises :class:`CompareError` where the gateway or the model is not there.
    """
    try:
        if model is None:
            model = await _only_model(url)
        path = f"/v1/models/{model}" + (f"?version={version}" if version else "")
        return await client.get(url, path), (await client.get(url, "/v1/backends"))["backends"]
    except GatewayError as error:
        raise CompareError(error.detail) from error


async def _only_model(url: str) -> str:
    names = [entry["name"] for entry in (await client.get(url, "/v1/models"))["models"]]
    if len(names) != 1:
        raise CompareError(f"say which with --model; there is: {', '.join(names) or 'none'}")
    return str(names[0])


def _offered(
    manifest: Manifest, version: str, survey: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Subject], dict[str, str]]:
    """By name, those that answer, and why the others do not."""
    offered: dict[str, Subject] = {}
    absent: dict[str, str] = {}
    entries = {entry["name"]: entry for entry in survey}
    for backend, spec in manifest.backends.items():
        entry = entries.get(backend, {"models": [], "url": None, "stand_in": None})
        states = {
            state["lineage"]: state
            for state in entry["models"]
            if (state["model"], state["version"]) == (manifest.name, version)
        }
        for lineage in spec.lineages:
            name, state = f"{backend}/{lineage}", states.get(lineage)
            if state is not None and state["ready"]:
                offered[name] = Subject(
                    name=name,
                    backend=backend,
                    lineage=lineage,
                    server=entry["url"],
                    stand_in=entry["stand_in"],
                )
            else:
                detail = (state or {}).get("detail") or entry.get("last_error") or "it is not ready"
                absent[name] = f"{name} was not compared: {detail}"
    return offered, absent


def _chosen(
    offered: Mapping[str, Subject], absent: Mapping[str, str], backends: Sequence[str]
) -> list[Subject]:
    chosen: list[Subject] = []
    for wanted in backends:
        found = [one for name, one in offered.items() if wanted in (name, one.backend)]
        if not found:
            reasons = [why for name, why in absent.items() if wanted in (name, name.split("/")[0])]
            known = ", ".join([*offered, *absent])
            raise CompareError("; ".join(reasons) or f"there is no backend {wanted!r}: {known}")
        chosen += found
    return chosen


def _numbered(subjects: Sequence[Subject]) -> list[Subject]:
    """Each with a name of its own: ``onnx/pytorch``, ``onnx/pytorch (2)``."""
    seen: Counter[str] = Counter()
    named = []
    for subject in subjects:
        seen[subject.name] += 1
        count = seen[subject.name]
        name = subject.name if count == 1 else f"{subject.name} ({count})"
        named.append(msgspec.structs.replace(subject, name=name))
    return named


def pairs(
    subjects: Sequence[Subject], candidate: str | None = None
) -> list[tuple[Subject, Subject]]:
    """(reference, candidate) of each lineage that has both.

    The candidate is the backend of that name; by default the one inside the gateway, which needs no
    server, or else the last of its lineage. Every other of the lineage is a reference. Raises
    :class:`CompareError` where nobody has the name of the candidate.
    """
    if candidate is not None and _candidate(subjects, candidate) is None:
        known = ", ".join(subject.name for subject in subjects)
        raise CompareError(f"there is no candidate {candidate!r}: {known}")
    found: list[tuple[Subject, Subject]] = []
    for lineage in dict.fromkeys(subject.lineage for subject in subjects):
        among = [one for one in subjects if one.lineage == lineage and not one.direct]
        ours = _candidate(among, candidate)
        if ours is not None:
            found += [(other, ours) for other in among if other is not ours]
    return found


def _candidate(among: Sequence[Subject], name: str | None) -> Subject | None:
    if name is not None:
        return next((one for one in among if name in (one.backend, one.name)), None)
    return next((one for one in among if one.server is None), among[-1] if among else None)
