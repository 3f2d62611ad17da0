"""A hundred thousand bodies that are nearly right, and wholly wrong ones, into the decoder.

Whatever comes in, :meth:`Validator.decode` gives rows that fit the manifest or one of its two
errors, soon, and keeps nothing. The bodies are the same on every run.
"""

from __future__ import annotations

import gc
import json
import time
from collections import Counter
from random import Random
from typing import Any

import msgspec
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidInput, InvalidRequest
from gateway.models.manifest import Manifest
from gateway.models.rows import Rows
from gateway.models.tensor import encodable
from gateway.models.validator import Validator
from tests.chaos.mutator import LARGEST, Mutator
from tests.conftest import MIXED, REPOSITORY, TALK

COUNT = 120_000
#: Processor seconds one body may take; other programs on the machine do not count.
CPU_S = 0.5
#: An answer to a refused body is no longer than this, in bytes, whatever was sent.
ANSWER = 64 * 1024
#: Memory is looked at so often in each half, and the lowest looks are compared: how much of it the
#: allocator holds back at any one time goes up and down by more than that.
LOOKS, GROWTH_MB = 6, 8.0

#: What the mixed model lacks: tensors, strings of any kind, the ends of the integers.
WIDE: dict[str, Any] = {
    "name": "wide",
    "features": [
        {"name": "note", "type": "string"},
        {"name": "id", "type": "integer", "dtype": "uint64"},
        {"name": "half", "type": "number", "dtype": "float16"},
        {"name": "pair", "type": "tensor", "shape": [2], "dtype": "int16"},
        {"name": "big", "type": "tensor", "shape": [2], "dtype": "uint64"},
        {"name": "path", "type": "tensor", "shape": [None, 2]},
        {"name": "free", "type": "tensor", "shape": [None, None], "dtype": "float64"},
        {"name": "flags", "type": "tensor", "shape": [1], "dtype": "bool"},
        {"name": "words", "type": "tensor", "shape": [1], "dtype": "string"},
    ],
    "outputs": [{"name": "y"}],
    "backends": {"onnx": {"lineages": {"only": {}}}},
}
FITS: dict[str, Any] = {
    "note": "é😀",
    "id": 2**64 - 1,
    "half": 0.5,
    "pair": [1, -2],
    "big": [2**64 - 1, 1],
    "path": [[1, 2.5], [3, 4]],
    "free": [[1.0]],
    "flags": {"b64": "AQ=="},
    "words": ["a"],
}
CASES: dict[str, tuple[Manifest, dict[str, Any]]] = {
    "mixed": (
        msgspec.convert(MIXED, Manifest),
        {"count": 2, "size": 0.5, "big": True, "name": "b"},
    ),
    "strict": (
        msgspec.convert(MIXED | {"out_of_range": "reject"}, Manifest),
        {"count": 2, "size": 0.5, "big": True, "name": "b"},
    ),
    "wide": (msgspec.convert(WIDE, Manifest), FITS),
    "weight-change": (Manifest.load(REPOSITORY / "weight-change"), TALK),
}
VALIDATORS = {name: Validator(manifest, max_instances=100) for name, (manifest, _) in CASES.items()}


def decode(validator: Validator, body: bytes) -> int:
    """The status the body is answered with, once all that is promised of it has been checked."""
    try:
        started = time.thread_time()
        outcome = _outcome(validator, body)
        if isinstance(outcome, Rows):
            check(validator, outcome)
        else:
            assert type(outcome) in (InvalidRequest, InvalidInput)
            assert len(msgspec.json.encode(outcome.problem("id"))) < ANSWER
        assert time.thread_time() - started < CPU_S
    except Exception as error:
        error.add_note(f"body of {len(body)} bytes: {body[:500]!r}")
        raise
    return 200 if isinstance(outcome, Rows) else outcome.status


def _outcome(validator: Validator, body: bytes) -> Rows | InvalidRequest:
    try:
        return validator.decode(body)
    except InvalidRequest as error:
        return error


def check(validator: Validator, rows: Rows) -> None:
    """The rows are what :class:`Rows` and the manifest say of them."""
    assert 1 <= rows.count <= validator.max_instances
    assert len(rows.warnings) <= 101
    for feature in validator.manifest.features:
        column: Any = rows.columns[feature.name]
        assert len(column) == rows.count
        if feature.element == "string":
            assert all(type(text) is str and encodable(text) for text in column.flat)
            assert feature.categories is None or set(column) <= set(feature.categories)
        elif feature.element != "bool" and column.size:
            low, high = feature.limits
            assert low <= column.min()
            assert column.max() <= high


def rss_mb() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


@pytest.mark.timeout(600)
def test_nothing_but_rows_or_a_reason_comes_out() -> None:
    mutators = {name: Mutator(fitting, Random(f"{name} 1")) for name, (_, fitting) in CASES.items()}
    seen: dict[str, Counter[int]] = {name: Counter() for name in CASES}
    looks: tuple[list[float], list[float]] = ([], [])
    for half in looks:
        for _ in range(LOOKS):
            for _ in range(COUNT // 2 // LOOKS // len(CASES)):
                for name, mutator in mutators.items():
                    body = mutator.body()
                    assert len(body) <= LARGEST
                    seen[name][decode(VALIDATORS[name], body)] += 1
            half.append(rss_mb())
    assert sum(counter.total() for counter in seen.values()) >= 100_000
    for name, counter in seen.items():
        # The bodies are near enough to right ones to get to every part of the decoder.
        shares = {status: number / counter.total() for status, number in counter.items()}
        assert min(shares[200], shares[400], shares[422]) > 0.05, (name, shares)
    assert min(looks[1]) - min(looks[0]) < GROWTH_MB, looks


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63) - 1, 2**64, 10**400, -(10**400)])
    | st.floats()
    | st.text(st.characters(), max_size=5),  # lone surrogates too: JSON can spell them
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["b64", "instances", "a", "\ud800"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(max_examples=300, derandomize=True)
def test_nor_of_any_values_in_the_right_places(name: str, data: st.DataObject) -> None:
    """Rows of which any members have any value; Hypothesis makes a short one of what it finds."""
    _, fitting = CASES[name]
    members = st.fixed_dictionaries({}, optional=dict.fromkeys(fitting, VALUES))
    rows = [fitting | row for row in data.draw(st.lists(members, min_size=1, max_size=3))]
    content = data.draw(st.sampled_from([rows[0], {"instances": rows}]))
    decode(VALIDATORS[name], json.dumps(content).encode())
