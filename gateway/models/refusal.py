"""Whether ONNX Runtime failed by what a request holds, and its words for who sent it."""

from __future__ import annotations

import re

from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from gateway.errors import shorten
from gateway.models.graph import UnevenAnswers

_MAX_CHARS = 300
#: Status, node and words of an error of a call.
_ERROR = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : "
    r"(?:Non-zero status code returned while running (\S+) node\. Name:'.*?' Status Message: )?"
    r"(.*)",
    re.DOTALL,
)
#: The place in ONNX Runtime's source, the function's signature, and the condition expected there.
_SOURCE = re.compile(
    r"\S+\.(?:h|cc|cpp|cu|cuh):\d+ "
    r"(?:[^()]*?\b[\w:<>~]+::[\w~]+\([^()]*\)(?: const)? ?)?(?:.*? was false\. ?)?",
    re.DOTALL,
)


def refusal(error: Exception, proven: bool) -> str | None:
    """Why a graph does not take what it was called with, in one line; None for any other failure.

    `error` is what a call raised. An index or a dimension that does not fit is INVALID_ARGUMENT in
    some operators, FAIL or RUNTIME_EXCEPTION in others, which also stand for a graph that never
    works: with `proven` it has answered before, on the CPU. Memory that is short is no refusal.
    """
    if isinstance(error, UnevenAnswers):
        return str(error)
    if not isinstance(error, InvalidArgument | Fail | RuntimeException):
        return None
    found = _ERROR.match(str(error))
    if found is None or "alloc" in found[2]:
        return None
    if not isinstance(error, InvalidArgument) and not (proven and found[1]):
        return None
    words = " ".join(_SOURCE.sub("", found[2], count=1).split())
    return shorten(f"{found[1]}: {words}" if found[1] else words, _MAX_CHARS)
