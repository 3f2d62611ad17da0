"""The exception tree and its mapping to problem JSON."""

from __future__ import annotations

import re

import pytest

from gateway import errors
from gateway.errors import (
    MAX_FIELD_ERRORS,
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    FieldError,
    GatewayError,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    shorten,
)


def subclasses(root: type[GatewayError]) -> list[type[GatewayError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in subclasses(child))]


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = re.findall(r"^\W*(\w+)\s+(\d{3})", errors.__doc__ or "", re.MULTILINE)
    assert sorted(drawn) == sorted((e.__name__, str(e.status)) for e in subclasses(GatewayError))


def test_every_error_has_a_problem_type_of_its_own() -> None:
    slugs = [error.slug for error in subclasses(GatewayError)]
    assert len(set(slugs)) == len(slugs)


def test_problem_has_the_members_of_rfc_9457() -> None:
    problem = NotFound("backend", "x", ["onnx"]).problem("id-1")
    assert problem["type"] == "urn:problem-type:gateway:not-found"
    assert problem["status"] == 404
    assert problem["request_id"] == "id-1"
    assert problem["allowed"] == ["onnx"]
    assert "'x'" in problem["detail"]
    assert "onnx" in problem["detail"]


def test_field_errors_are_listed_up_to_a_limit() -> None:
    many = [FieldError(f"/f{i}", f"f{i}", "missing", "is missing", "a number") for i in range(30)]
    problem = InvalidInput(many).problem()
    assert problem["status"] == 422
    assert len(problem["errors"]) == MAX_FIELD_ERRORS
    assert problem["errors_omitted"] == 30 - MAX_FIELD_ERRORS
    assert problem["errors"][0] == {
        "pointer": "/f0",
        "field": "f0",
        "kind": "missing",
        "detail": "is missing",
        "allowed": "a number",
    }


@pytest.mark.parametrize(
    ("error", "status"), [(BackendError, 502), (BackendUnavailable, 503), (BackendTimeout, 504)]
)
def test_backend_errors_name_the_backend(error: type[BackendError], status: int) -> None:
    problem = error("torchserve", "it is gone").problem()
    assert (problem["status"], problem["backend"]) == (status, "torchserve")
    assert problem["detail"] == "torchserve: it is gone"


def test_headers_belong_to_the_error() -> None:
    assert BackendUnavailable("onnx", "busy").headers == {"Retry-After": "1"}
    assert MethodNotAllowed("GET", ["POST"]).headers == {"Allow": "POST"}


def test_shorten_cuts_long_values() -> None:
    assert shorten("x" * 200) == "x" * 80 + "…"
    assert shorten(12) == "12"
