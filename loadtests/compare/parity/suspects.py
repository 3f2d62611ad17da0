"""Which features the difference between two subjects depends on, and which are to blame.

Rows are drawn, and drawn again with one feature changed; both subjects are asked for all of them.
With r and c the reference's and the candidate's answer, d = c − r, and Δ the change when feature i
alone is drawn anew,

    share    = E[(Δd)²] ÷ 2·Var(d)               Jansen's estimator of Sobol's total index
    mismatch = E[(Δc − Δr)²] ÷ (E[Δc²] + E[Δr²])

M. J. W. Jansen, "Analysis of variance designs for model output", Computer Physics Communications
117 (1999). Neither is evidence enough: where all weights are off, the features that matter most
have the largest share; where a wrong value saturates the network, all reactions are wrong. So
features are named by an explanation that :mod:`.explanations` has found to hold, or else because
one subject hardly reacts to them while it does to most others.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.models.manifest import Manifest
from loadtests.compare.parity.answers import Ask, matrices
from loadtests.compare.parity.explanations import ROWS, Explainer, Explanation
from loadtests.compare.parity.fitting import Table, finite
from loadtests.compare.results import Suspect
from loadtests.payloads import Payload, generated, redrawn

#: Rows that are asked in all for the shares, and the bounds of how many are drawn for it.
_BUDGET = 6_000
_ROWS = (32, 256)
#: Below this share of disagreeing rows among drawn ones, those known to disagree are used.
_ENOUGH = 0.1
#: One that reacts less than this part of the other hardly reacts.
_HARDLY = 0.02


@dataclass(frozen=True, slots=True)
class _Reaction:
    """To one feature: its share and mismatch, and the root mean squares of both changes."""

    feature: str
    share: float
    mismatch: float
    reference: float
    candidate: float

    @property
    def ratio(self) -> float:
        """The smaller ÷ the larger reaction; 1 where neither reacts."""
        larger = max(self.reference, self.candidate)
        return min(self.reference, self.candidate) / larger if larger else 1.0


async def suspects(
    names: tuple[str, str],
    asks: tuple[Ask, Ask],
    manifest: Manifest,
    disagreeing: Sequence[Payload],
    *,
    seed: int = 0,
) -> list[Suspect]:
    """Every feature, the named ones first, then by share; none where there is but one feature.

    ``names`` and ``asks`` are the reference's and the candidate's; ``disagreeing`` are rows they
    differ in, used where drawn rows hardly show a difference. Asks some ten thousand rows of each.
    Raises :class:`CompareError` where a subject does not answer.
    """
    features = [feature.name for feature in manifest.features]
    if len(features) < 2:
        return []
    count = min(max(_BUDGET // (len(features) + 1), _ROWS[0]), _ROWS[1])
    rows = generated(manifest, count, seed)
    tolerance = manifest.parity.absolute
    if disagreeing and await _alike(asks, rows, tolerance):
        rows = [disagreeing[index * len(disagreeing) // count] for index in range(count)]
    reactions = await _reactions(asks, manifest, rows, seed)
    reactions.sort(key=lambda reaction: -reaction.share)
    spread = rows[:: max(count // ROWS, 1)]
    explainer = Explainer(names, asks, manifest, spread, tolerance)
    explanation = await explainer.explain([reaction.feature for reaction in reactions])
    words = _evidence(names, reactions, explanation)
    found = [
        Suspect(
            feature=reaction.feature,
            share=reaction.share,
            mismatch=reaction.mismatch,
            named=reaction.feature in words,
            words=words.get(reaction.feature, ""),
        )
        for reaction in reactions
    ]
    return sorted(found, key=lambda suspect: not suspect.named)


async def _alike(asks: tuple[Ask, Ask], rows: Sequence[Payload], tolerance: float) -> bool:
    one, other = matrices(*await asyncio.gather(*(ask(rows) for ask in asks)))
    apart = ~(np.abs(one - other) <= tolerance).all(axis=1)
    return bool(apart.mean() < _ENOUGH)


async def _reactions(
    asks: tuple[Ask, Ask], manifest: Manifest, rows: Sequence[Payload], seed: int
) -> list[_Reaction]:
    designs = [rows]
    for index, feature in enumerate(manifest.features):
        # Seeds of their own: from one, two features would be drawn in step.
        designs.append(redrawn(manifest, rows, feature.name, seed + 1_000 * (index + 1)))
    answers = [await asyncio.gather(*(ask(design) for ask in asks)) for design in designs]
    # All at once, so that the columns are those of the same elements.
    tables = matrices(*(some for both in answers for some in both))
    reference, candidate = tables[0], tables[1]
    if not reference.shape[1]:
        return [_Reaction(feature.name, 0.0, 0.0, 0.0, 0.0) for feature in manifest.features]
    # Outputs of several units count alike; what is constant counts as it is.
    scale = np.nanstd(reference, axis=0) if np.isfinite(reference).any() else np.ones(1)
    scale = np.where(scale > 0, scale, 1.0)
    least = manifest.parity.absolute / 100 / float(scale.max())
    variance = _variance((candidate - reference) / scale)
    return [
        _reaction(
            feature.name,
            (tables[2 + 2 * index] - reference) / scale,
            (tables[3 + 2 * index] - candidate) / scale,
            variance,
            least,
        )
        for index, feature in enumerate(manifest.features)
    ]


def _reaction(
    feature: str, reference: Table, candidate: Table, variance: float, least: float
) -> _Reaction:
    """``reference`` and ``candidate`` are their changes; below ``least`` both are but noise."""
    answered = finite(reference, candidate)
    if not answered.any():
        return _Reaction(feature, 0.0, 0.0, 0.0, 0.0)
    ours, theirs = reference[answered], candidate[answered]
    of_ours, of_theirs, of_both = (
        float(np.square(change).sum(axis=1).mean()) for change in (ours, theirs, theirs - ours)
    )
    if max(of_ours, of_theirs) <= least**2:
        return _Reaction(feature, 0.0, 0.0, 0.0, 0.0)
    return _Reaction(
        feature,
        min(of_both / (2 * variance), 1.0) if variance else 0.0,
        of_both / (of_ours + of_theirs),
        math.sqrt(of_ours),
        math.sqrt(of_theirs),
    )


def _variance(differences: Table) -> float:
    answered = differences[finite(differences)]
    return float(answered.var(axis=0).sum()) if len(answered) else 0.0


def _evidence(
    names: tuple[str, str], reactions: Sequence[_Reaction], explanation: Explanation | None
) -> dict[str, str]:
    """Words by the name of each feature that is to blame."""
    if explanation is not None:
        by_name = {reaction.feature: reaction for reaction in reactions}
        words = explanation.words
        if explanation.constant:
            words = f"{_hardly(names, by_name[explanation.features[0]])}; {words}"
        return dict.fromkeys(explanation.features, words)
    weak = [r for r in reactions if r.ratio <= _HARDLY]
    if 2 * len(weak) >= len(reactions):
        return {}
    return {reaction.feature: _hardly(names, reaction) for reaction in weak}


def _hardly(names: tuple[str, str], reaction: _Reaction) -> str:
    weak, strong = names if reaction.reference < reaction.candidate else names[::-1]
    part = "less than 0.1 %" if reaction.ratio < 1e-3 else f"{100 * reaction.ratio:.1f} %"
    return f"{weak} hardly reacts to {reaction.feature}: {part} of the reaction of {strong}"
