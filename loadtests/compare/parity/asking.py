"""Asks one backend and lineage through a running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec

from loadtests.compare.errors import CompareError
from loadtests.compare.parity.answers import Answer, Refusal
from loadtests.compare.results import Subject
from loadtests.payloads import Payload

#: Seconds to wait before each further try: together longer than an open breaker's pause.
PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0)
#: Rows of one request.
BATCH = 64
_TIMEOUT = aiohttp.ClientTimeout(total=60)
#: The row does not fit, or is too large.
_REFUSED = (400, 413, 422)
#: The backend answered, and its answer was an error: for one the row's, for another its own.
_FAILED = 502
#: Worth another try.
_PASSING = (408, 429, 500, _FAILED, 503, 504)


class GatewayAsk:
    """An :data:`Ask` of ``subject`` at the gateway ``url``, over ``session``.

    ``model`` and ``version`` None leave the choice to the gateway. Rows go in batches of at most
    ``batch``; one that is refused, or that makes the backend fail, is asked again row by row, so
    that it is known which row it was. What passes (no connection, timeouts, 429, 5xx) is tried
    again after each of ``pauses`` seconds; then, and at any other status, :class:`CompareError`
    says which backend did not answer. So it does where the backend has failed at every row so far.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        subject: Subject,
        *,
        model: str | None = None,
        version: str | None = None,
        batch: int = BATCH,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._session = session
        self._url = url.rstrip("/") + "/v1/predict"
        self._name = subject.name
        query = {
            "backend": subject.backend,
            "lineage": subject.lineage,
            "model": model,
            "version": version,
        }
        self._query = {key: value for key, value in query.items() if value is not None}
        self._batch = batch
        self._pauses = pauses
        self._answered = False

    async def __call__(self, payloads: Sequence[Payload]) -> list[Answer]:
        answers: list[Answer] = []
        for start in range(0, len(payloads), self._batch):
            answers += await self._ask(payloads[start : start + self._batch])
            last = answers[-1]
            if not self._answered and isinstance(last, Refusal) and last.status == _FAILED:
                raise CompareError(f"{self._name} answers nothing: {last.words}")
        return answers

    async def _ask(self, rows: Sequence[Payload]) -> list[Answer]:
        status, content = await self._post(msgspec.json.encode({"instances": rows}))
        if status == 200:
            self._answered = True
            return self._predictions(content, len(rows))
        if len(rows) == 1:
            return [Refusal(_detail(content), status)]
        return [answer for row in rows for answer in await self._ask([row])]

    def _predictions(self, content: Any, rows: int) -> list[Answer]:
        predictions = content.get("predictions") if isinstance(content, dict) else None
        if not isinstance(predictions, list) or len(predictions) != rows:
            raise CompareError(f"{self._name} did not answer one prediction to each of {rows} rows")
        if not all(isinstance(prediction, dict) for prediction in predictions):
            raise CompareError(f"{self._name} answered predictions that are no objects of outputs")
        return predictions

    async def _post(self, body: bytes) -> tuple[int, Any]:
        """Status 200, or one that says that the rows are refused, and the answer's JSON."""
        failures = 0
        for pause in (*self._pauses, None):
            status, content = await self._once(body)
            failures += status == _FAILED
            # What the backend itself answers does not pass; once more, in case it was no row's.
            if status == 200 or status in _REFUSED or failures == 2:
                return status, content
            if pause is None or status not in _PASSING:
                break
            await asyncio.sleep(pause)
        if status == _FAILED:
            return status, content
        raise CompareError(f"{self._name} did not answer: {_detail(content)}")

    async def _once(self, body: bytes) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(
                self._url, params=self._query, data=body, headers=headers, timeout=_TIMEOUT
            ) as reply:
                content = await reply.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return 503, {"detail": str(error) or type(error).__name__}
        try:
            return reply.status, msgspec.json.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return reply.status, {"detail": f"status {reply.status}, and no JSON"}


def _detail(content: Any) -> str:
    detail = content.get("detail") if isinstance(content, dict) else None
    return str(detail or content)
