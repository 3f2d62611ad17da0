"""Who is held against whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loadtests.compare.results import Parity, Results, Server, Subject

#: What the backends are called in sentences; others go by their own name.
TITLES: Mapping[str, str] = {
    "onnx": "ONNX Runtime",
    "tfserving": "TensorFlow Serving",
    "torchserve": "TorchServe",
}
#: The server of what runs inside the gateway.
GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Case:
    """A candidate that may replace an original.

    ``original`` is asked through the gateway, as parity is; ``today`` is the original as clients
    ask it now: its own server where that was measured, else ``original``.
    """

    parity: Parity
    candidate: Subject
    original: Subject
    today: Subject

    @property
    def subjects(self) -> list[Subject]:
        """All that take part, each once."""
        return list({one.name: one for one in (self.candidate, self.original, self.today)}.values())

    def title(self, subject: Subject) -> str:
        """``TorchServe``; the subject's own name where both sides are the same backend."""
        if self.candidate.backend == self.original.backend:
            return (self.candidate if subject is self.candidate else self.original).name
        return TITLES.get(subject.backend, subject.backend)

    def asked(self, subject: Subject) -> str:
        """``TorchServe asked directly``, ``ONNX Runtime through the gateway``."""
        return self.title(subject) + (" asked directly" if subject.direct else _THROUGH)


def cases(results: Results) -> list[Case]:
    """One for each pair whose parity was looked at; raises KeyError for a nameless subject."""
    subjects = {subject.name: subject for subject in results.subjects}
    measured = {point.subject for point in results.points}
    found = []
    for parity in results.parity:
        original = subjects[parity.reference]
        direct = (
            one
            for one in results.subjects
            if one.direct
            and (one.backend, one.lineage) == (original.backend, original.lineage)
            and one.name in measured
        )
        candidate = subjects[parity.candidate]
        found.append(Case(parity, candidate, original, next(direct, original)))
    return found


def server_of(subject: Subject, results: Results) -> Server | None:
    """The one server that answers the subject's clients, None where it was not looked at."""
    name = GATEWAY if subject.server is None else subject.backend
    return {server.name: server for server in results.servers}.get(name)


_THROUGH = " through the gateway"
