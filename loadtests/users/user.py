"""The user of Locust that asks one backend, and the classes of it that a manifest gives."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any, ClassVar
from urllib.parse import urlencode

from locust import FastHttpUser, tag, task
from locust.env import Environment

from gateway.client import KEY_VARIABLE
from gateway.models.manifest import Manifest
from loadtests.users.answers import prediction_fault, refusal_fault
from loadtests.users.bodies import Bodies
from loadtests.users.names import class_names


class GatewayUser(FastHttpUser):
    """Asks ``backend`` for predictions of ``lineage``, one request after the other.

    Of 23 requests 20 are of one row (tag ``single``), two of many (``batch``) and one is bad
    (``errors``), which must be refused. Each answer is checked; a wrong one is a failure.
    """

    abstract = True
    backend: ClassVar[str]
    lineage: ClassVar[str]
    path: ClassVar[str]
    bodies: ClassVar[Bodies]
    #: Each user draws bodies of its own, the same in every run.
    _users: ClassVar[int] = 0

    def __init__(self, environment: Environment) -> None:
        options = environment.parsed_options
        assert options is not None
        self.network_timeout = self.connection_timeout = float(options.give_up_seconds)
        super().__init__(environment)
        self._pause = options.pause_seconds
        GatewayUser._users += 1
        self._random = Random(GatewayUser._users)

    def wait_time(self) -> float:
        """Seconds between an answer and the next request."""
        return float(self._pause)

    @tag("single")
    @task(20)
    def predict(self) -> None:
        """One row."""
        self._ask("1 row", self.bodies.single(self._random), self._prediction(1))

    @tag("batch")
    @task(2)
    def batch(self) -> None:
        """Many rows in one body."""
        rows = self._random.choice(self.bodies.sizes)
        body = self.bodies.batch(self._random, rows)
        self._ask(f"{rows} rows", body, self._prediction(rows))

    @tag("errors")
    @task(1)
    def refused(self) -> None:
        """A body that must be refused: only then it counts as a success."""
        wrong = self.bodies.refused(self._random)

        def fault(response: Any) -> str | None:
            content_type = response.headers.get("content-type") or ""
            found = refusal_fault(
                response.status_code, content_type, response.content, wrong.status
            )
            return found and f"{wrong.name}: {found}"

        self._ask("refused", wrong.body, fault)

    def _prediction(self, rows: int) -> Callable[[Any], str | None]:
        return lambda response: prediction_fault(
            response.status_code, response.content, rows, self.backend, self.lineage
        )

    def _ask(self, what: str, body: Any, fault: Callable[[Any], str | None]) -> None:
        name = f"{self.backend}/{self.lineage}: {what}"
        response: Any
        with self.client.post(self.path, data=body, name=name, catch_response=True) as response:
            if response.status_code == 0:
                error = response.error
                response.failure(f"no answer: {type(error).__name__}")
            elif found := fault(response):
                response.failure(found)
            else:
                response.success()


def user_classes(manifest: Manifest) -> dict[str, type[GatewayUser]]:
    """A class per backend and lineage by its name, see :func:`class_names`.

    They send the API key that ``GATEWAY_API_KEY`` holds, if it does.
    """
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY_VARIABLE):
        headers["X-API-Key"] = key
    bodies = Bodies(manifest)
    classes = {}
    for name, (backend, lineage) in class_names(manifest).items():
        query = urlencode({"backend": backend, "lineage": lineage, "model": manifest.name})
        content = {
            "__doc__": f"Asks {backend} for predictions of {lineage}.",
            "__module__": __name__,
            "backend": backend,
            "lineage": lineage,
            "path": f"/v1/predict?{query}",
            "bodies": bodies,
            "default_headers": headers,
        }
        classes[name] = type(name, (GatewayUser,), content)
    return classes
