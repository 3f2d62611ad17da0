"""What it comes to, lineage by lineage."""

from __future__ import annotations

import msgspec

from loadtests.compare.report.sentences import Linked, linked
from loadtests.compare.results import Advice, Parity, Results

_HEADS = {
    "move": "Move from {reference} to {candidate}",
    "stay": "Stay with {reference}",
    "none": "Nothing is recommended",
}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """``action`` as in :class:`Advice`, ``head`` in words; ``parity`` of the same pair."""

    lineage: str
    action: str
    head: str
    between: str
    sentences: list[Linked]
    silent_because: list[str]
    parity: Parity | None

    @property
    def silence(self) -> str:
        """Why nothing, or no more, is said; empty where there is no reason to give."""
        if not self.silent_because:
            return ""
        because = "Why nothing is recommended" if self.action == "none" else "Not said"
        return f"{because}: {'; '.join(self.silent_because)}."


def verdicts(results: Results) -> list[Verdict]:
    """One for each advice, and one for each pair that has none."""
    figures = results.figures()
    compared = {(one.candidate, one.reference): one for one in results.parity}
    found = []
    for advice in results.advice:
        found.append(
            Verdict(
                lineage=advice.lineage,
                action=advice.action,
                head=_head(advice),
                between=f"{advice.candidate} against {advice.reference}",
                sentences=[linked(sentence, figures) for sentence in advice.sentences],
                silent_because=advice.silent_because,
                parity=compared.pop((advice.candidate, advice.reference), None),
            )
        )
    for pair in compared.values():
        found.append(
            Verdict(
                lineage=pair.lineage,
                action="none",
                head=_HEADS["none"],
                between=f"{pair.candidate} against {pair.reference}",
                sentences=[],
                silent_because=["only the agreement of their answers was looked at"],
                parity=pair,
            )
        )
    return found


def _head(advice: Advice) -> str:
    return _HEADS[advice.action].format(candidate=advice.candidate, reference=advice.reference)
