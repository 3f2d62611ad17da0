"""``POST /v1/compare``: one payload to all backends at once, and how far their answers agree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import msgspec
from aiohttp import web

from gateway.api.comparison import Reply, comparison
from gateway.api.envelope import VISIT, Envelope, Visit
from gateway.api.intake import CONTENT_TYPE, Asked, Intake
from gateway.api.media import check_content_type
from gateway.api.state import query_parameters
from gateway.backends.base import Target
from gateway.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    GatewayError,
    InputRefused,
)
from gateway.models.repository import ModelVersion
from gateway.routing.answer import Answer
from gateway.routing.queue import Awaiting
from gateway.routing.router import Router

PATH = "/v1/compare"
PARAMETERS = ("backends", "model", "version", "lineage")


class CompareDoor(Intake):
    """Answers ``POST /v1/compare``.

    Each target is asked as ``POST /v1/predict?backend=…&lineage=…`` would ask it, but none answers
    in another's place; shadows and canaries have no part in it.
    """

    def __init__(self, router: Router, envelope: Envelope) -> None:
        super().__init__(router)
        self._envelope = envelope
        #: What stands for all targets of a version in metrics and log: it names no backend.
        self._everyone: dict[ModelVersion, Target] = {}
        router.on_change(self._everyone.clear)

    async def answer(self, request: web.BaseRequest, visit: Visit) -> web.StreamResponse:
        """Validate the body against the model's manifest and have every backend answer.

        Answers 200 with a :class:`Comparison`, also where only some have answered. Raises
        :class:`GatewayError` where none has, or where the request does not fit.
        """
        self._trace(visit)
        # What is wrong with the query is said before the body is read.
        check_content_type(request, self._select(request)[0].model.manifest)
        body = await request.read()
        targets = self._select(request)
        visit.target = self._all_of(targets[0].model)
        check_content_type(request, targets[0].model.manifest)
        asked = await self._validate_any(visit, targets, body)
        started = time.perf_counter()
        replies = await self._ask_all(asked)
        asked_s = time.perf_counter() - started
        await self._look_for_stand_ins(replies)
        errors = [reply.error for reply in replies if reply.error is not None]
        if len(errors) == len(replies):
            raise nobody(errors)
        headers = {
            "Content-Type": CONTENT_TYPE,
            "Server-Timing": f"validation;dur={asked.validation_s * 1e3:.3f}, "
            f"backends;dur={asked_s * 1e3:.3f}",
        }
        content = comparison(replies, asked.rows.warnings, visit.identity)
        return web.Response(body=msgspec.json.encode(content), headers=headers)

    def _select(self, request: web.BaseRequest) -> tuple[Target, ...]:
        query = query_parameters(request, PARAMETERS)
        # A list with commas, or, as most HTTP clients write lists, the parameter several times.
        lists = request.query.getall("backends", ())
        backends = [name for names in lists for name in names.split(",")] or None
        return self._router.select_all(
            query.get("model"), query.get("version"), backends, query.get("lineage")
        )

    def _all_of(self, model: ModelVersion) -> Target:
        target = self._everyone.get(model)
        if target is None:
            target = self._everyone[model] = Target("", model, "", {})
        return target

    async def _ask_all(self, asked: Asked) -> list[Reply]:
        """The replies in the order of the targets."""
        # Engines in this process go first: their calls take microseconds, and would otherwise be
        # measured with the writing of requests to servers, which takes many times as long.
        backends = self._router.backends
        order = sorted(asked.targets, key=lambda target: backends[target.backend].url is not None)
        replies = await asyncio.gather(*(self._ask(target, asked) for target in order))
        by_target = dict(zip(order, replies, strict=True))
        return [by_target[target] for target in asked.targets]

    async def _ask(self, target: Target, asked: Asked) -> Reply:
        clock = _Clock(asyncio.get_running_loop().create_future())
        try:
            check_payload(target, asked.targets[0].model)
            ticket = self._router.enqueue((target,), asked.rows, asked.call, clock)
            try:
                answer = await clock.future
            finally:
                ticket.leave()
        except Exception as error:
            return Reply(target, error=self._envelope.explain(asked.visit, error))
        return Reply(target, answer, clock.seconds)

    async def _look_for_stand_ins(self, replies: Sequence[Reply]) -> None:
        """Note the stand-ins among those who replied.

        A server that has come up, or come back, since the last look is looked at now: what it has
        answered shall not go unmarked.
        """
        health = self._router.health

        async def look(reply: Reply) -> None:
            state = health.states.get(reply.target)
            if state is not None:
                if reply.answer is not None and not state.health.ready:
                    await health.probe(reply.target)
                reply.stand_in = state.health.stand_in

        await asyncio.gather(*map(look, replies))


class _Clock(Awaiting):
    """Notes when the answer comes, however late the one who waits has a turn.

    ``seconds`` is how long it took since this was made.
    """

    __slots__ = ("_started", "future", "seconds")

    def __init__(self, future: asyncio.Future[Answer]) -> None:
        super().__init__(future)
        self.future = future
        self.seconds = 0.0
        self._started = time.perf_counter()

    def answered(self, answer: Answer) -> None:
        self.seconds = time.perf_counter() - self._started
        super().answered(answer)


def check_payload(target: Target, model: ModelVersion) -> None:
    """Raise :class:`BackendUnavailable` unless the target takes the payloads of ``model``.

    While a new version comes in, a server may still answer with the one before.
    """
    theirs = target.model
    if theirs is not model and theirs.manifest.features != model.manifest.features:
        raise BackendUnavailable(
            target.backend,
            f"it answers with version {theirs.version}, which takes another payload than "
            f"version {model.version}",
        )


def nobody(errors: Sequence[GatewayError]) -> GatewayError:
    """What to raise where none has answered: the error itself, or the kind that all are of."""
    for error in errors:
        error.logged = False  # each was
    first = errors[0]
    if len(errors) == 1:
        return first
    known = [error for error in errors if isinstance(error, BackendError)]
    if len(known) < len(errors):
        return next(error for error in errors if error not in known)
    kinds = (BackendUnavailable, BackendTimeout, InputRefused, BackendError)
    kind = next(kind for kind in kinds if all(isinstance(error, kind) for error in known))
    names = dict.fromkeys(str(error.members["backend"]) for error in known)
    details = dict.fromkeys(error.detail for error in known)
    combined = kind(", ".join(names), "none answered; " + "; ".join(details))
    combined.logged = False
    if isinstance(combined, BackendUnavailable):
        waits = [error.retry_after_s for error in known if isinstance(error, BackendUnavailable)]
        combined.retry_after_s = min(waits)
    return combined


#: Where the application keeps its door.
DOOR = web.AppKey("compare_door", CompareDoor)


async def compare(request: web.Request) -> web.StreamResponse:
    """Ask all backends at once, and compare their answers."""
    return await request.app[DOOR].answer(request, request[VISIT])
