"""Whether an answer is the one that was asked for."""

from __future__ import annotations

from typing import Any

import msgspec

_PROBLEM_TYPE = "application/problem+json"


class _Answer(msgspec.Struct):
    backend: str
    lineage: str
    predictions: list[dict[str, Any]]


class _Problem(msgspec.Struct):
    status: int
    type: str


_answer = msgspec.json.Decoder(_Answer)
_problem = msgspec.json.Decoder(_Problem)


def prediction_fault(
    status: int, content: bytes | None, rows: int, backend: str, lineage: str
) -> str | None:
    """Why this is no prediction of ``rows`` rows by this backend; None where it is one.

    The same fault is the same words, so that they can be counted.
    """
    if status != 200:
        return _refusal(status, content)
    try:
        answer = _answer.decode(content or b"")
    except msgspec.MsgspecError as error:
        return f"200, but no prediction: {error}"
    if (answer.backend, answer.lineage) != (backend, lineage):
        return f"answered by {answer.backend}/{answer.lineage}, asked {backend}/{lineage}"
    if len(answer.predictions) != rows:
        return f"{len(answer.predictions)} predictions for {rows} rows"
    return None


def refusal_fault(
    status: int, content_type: str, content: bytes | None, expected: int
) -> str | None:
    """Why this is not the refusal, problem JSON with status ``expected``; None where it is."""
    if status != expected:
        found = "200, taken as good" if status == 200 else _refusal(status, content)
        return f"{found}; it must be refused with {expected}"
    if content_type.partition(";")[0].strip() != _PROBLEM_TYPE:
        return f"{status}, but {content_type or 'without a type'} instead of {_PROBLEM_TYPE}"
    try:
        problem = _problem.decode(content or b"")
    except msgspec.MsgspecError as error:
        return f"{status}, but no problem JSON: {error}"
    if problem.status != status:
        return f"{status}, but its problem says {problem.status}"
    return None


def _refusal(status: int, content: bytes | None) -> str:
    """``503 overloaded``, or the status alone where the answer is no problem JSON."""
    try:
        return f"{status} {_problem.decode(content or b'').type.rpartition(':')[2]}"
    except msgspec.MsgspecError:
        return str(status)
