"""The routing policy: which backend answers a request, which stand behind it, which is tried out.

::

    models:
      weight-change:
        default: torchserve            # of requests that name no backend; a route, or auto
        fallback: [onnx, tfserving]    # backend=auto goes on to these, in order
        canary:
          weights: {torchserve: 90, onnx: 10}    # percent; they sum to 100
          sticky: X-User-Id                      # decides who gets what; else the request id does
        shadow: {candidate: onnx/pytorch, share: 0.1}   # the share of requests that is copied

A route is ``backend`` or ``backend/lineage``; every key may be left out. A request that names a
backend gets that one. The others, whether they name none or ``auto``, get the canary's draw, else
the default, else the first backend of the manifest. Only ``auto`` goes on to the fallback.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from gateway.errors import ConfigError, shorten
from gateway.routing.offers import Offers
from gateway.routing.policy_document import ModelShape, number, read, shapes

#: ``?backend=`` that leaves the choice to the gateway.
AUTO: Literal["auto"] = "auto"
_SUM_TOLERANCE = 1e-6
#: RFC 9110 section 5.6.2, the characters of a header's name.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Route(msgspec.Struct, frozen=True, cache_hash=True):
    """A backend, and one of its lineages or None for its first."""

    backend: str
    lineage: str | None = None

    @classmethod
    def parse(cls, text: str) -> Route:
        """The route written ``backend`` or ``backend/lineage``."""
        backend, slash, lineage = text.partition("/")
        return cls(backend, lineage if slash else None)

    def __str__(self) -> str:
        return self.backend if self.lineage is None else f"{self.backend}/{self.lineage}"


class Canary(msgspec.Struct, frozen=True):
    """Requests divided over routes, by ``weights`` in percent.

    ``sticky`` names the header whose value is the key of :meth:`draw`; without the header, or
    where it is None, the request id is the key.
    """

    model: str
    weights: dict[Route, float]
    sticky: str | None = None
    #: Per route that gets anything: what is hashed before the key, and the weight. Derived.
    lots: tuple[tuple[Route, bytes, float], ...] = ()

    def __post_init__(self) -> None:
        lots = tuple(
            (route, f"{self.model}\0{route}\0".encode(), self.weights[route])
            for route in sorted(self.weights, key=str)
            if self.weights[route] > 0
        )
        msgspec.structs.force_setattr(self, "lots", lots)

    def draw(self, key: str) -> Route:
        """The key's route: always the same one, in every process and on every machine.

        Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted distributed hash
        tables", 2005): each route draws an exponential of its weight's rate, seeded by the key,
        and the earliest wins. So a route wins with its weight's share, and when weights change a
        key moves only to a route that grew relative to its own, however many routes there are.
        """
        if len(self.lots) == 1:
            return self.lots[0][0]
        # Header values come decoded with surrogateescape, whatever bytes the client sent.
        data = key.encode("utf-8", "surrogateescape")
        chosen, earliest = self.lots[0][0], math.inf
        for route, prefix, weight in self.lots:
            hashed = int.from_bytes(blake2b(prefix + data, digest_size=8).digest(), "big")
            drawn = -math.log((hashed + 0.5) * 2**-64) / weight
            if drawn < earliest:
                chosen, earliest = route, drawn
        return chosen


class Shadow(msgspec.Struct, frozen=True):
    """The route that gets copies, and of which share of the requests, above 0 and up to 1."""

    candidate: Route
    share: float = 1.0


class ModelPolicy(msgspec.Struct, frozen=True):
    """One model's policy; ``default`` None means the first backend of the manifest.

    With ``default`` ``auto`` a request that names no backend is treated as one that names auto.
    """

    default: Route | Literal["auto"] | None = None
    fallback: tuple[Route, ...] = ()
    canary: Canary | None = None
    shadow: Shadow | None = None

    def first(self, key: str) -> Route | None:
        """Who answers a request that names no backend, or auto; None is the manifest's first.

        ``key`` is the value of the canary's sticky header, or the request id.
        """
        if self.canary is not None:
            return self.canary.draw(key)
        return self.default if isinstance(self.default, Route) else None

    def goes_on(self, backend: str | None) -> bool:
        """Whether a request with this ``?backend=`` goes on to ``fallback`` on a failure."""
        return backend == AUTO or (backend is None and self.default == AUTO)

    def as_written(self) -> dict[str, Any]:
        """The entry as the file holds it, routes as text."""
        entry: dict[str, Any] = {}
        if self.default is not None:
            entry["default"] = str(self.default)
        if self.fallback:
            entry["fallback"] = [str(route) for route in self.fallback]
        if self.canary is not None:
            weights = {str(route): number(w) for route, w in self.canary.weights.items()}
            entry["canary"] = {"weights": weights}
            if self.canary.sticky is not None:
                entry["canary"]["sticky"] = self.canary.sticky
        if self.shadow is not None:
            candidate, share = str(self.shadow.candidate), number(self.shadow.share)
            entry["shadow"] = {"candidate": candidate, "share": share}
        return entry


_NO_POLICY = ModelPolicy()


class Policy(msgspec.Struct, frozen=True):
    """The policies by model name."""

    models: dict[str, ModelPolicy] = {}

    def of(self, model: str) -> ModelPolicy:
        """The model's policy, the empty one where the file does not name it."""
        return self.models.get(model, _NO_POLICY)


def parse(text: str, offers: Offers) -> Policy:
    """The policy a file's text describes.

    Raises :class:`ConfigError` naming the model, the key, what is wrong and what is allowed.
    """
    models: dict[str, ModelPolicy] = {}
    for name, shape in shapes(read(text)).items():
        if name not in offers:
            raise ConfigError(f"no model {shorten(name)!r}; allowed: {_listed(offers)}")
        try:
            models[name] = _compile(name, shape, offers[name])
        except ConfigError as error:
            raise ConfigError(f"model {name}: {error.detail}") from error
    return Policy(models)


def _compile(name: str, shape: ModelShape, backends: Mapping[str, Collection[str]]) -> ModelPolicy:
    def route(text: str, key: str) -> Route:
        parsed = Route.parse(text)
        if not backends:
            return parsed
        if parsed.backend not in backends:
            known = _listed([*backends, AUTO] if key == "default" else backends)
            raise ConfigError(f"{key}: no backend {shorten(parsed.backend)!r}; allowed: {known}")
        lineages = backends[parsed.backend]
        if parsed.lineage is not None and parsed.lineage not in lineages:
            raise ConfigError(
                f"{key}: backend {parsed.backend} has no lineage {shorten(parsed.lineage)!r}; "
                f"allowed: {_listed(lineages)}"
            )
        return parsed

    default: Route | Literal["auto"] | None = None
    if shape.default is not None:
        default = AUTO if shape.default == AUTO else route(shape.default, "default")
    fallback = tuple(route(text, "fallback") for text in shape.fallback or ())
    repeated = [str(entry) for entry, count in Counter(fallback).items() if count > 1]
    if repeated:
        raise ConfigError(f"fallback: {repeated[0]} is given twice; allowed: each route once")
    canary = shadow = None
    if shape.canary is not None:
        weights = {
            route(text, "canary.weights"): weight for text, weight in shape.canary.weights.items()
        }
        _check_weights(weights)
        sticky = shape.canary.sticky
        if sticky is not None and not _TOKEN.fullmatch(sticky):
            raise ConfigError(
                f"canary.sticky: {shorten(sticky)!r} is no name of a header; allowed: letters, "
                "digits and !#$%&'*+-.^_`|~"
            )
        canary = Canary(name, weights, sticky)
    if shape.shadow is not None:
        if not 0 < shape.shadow.share <= 1:
            raise ConfigError(f"shadow.share: is {shape.shadow.share}; allowed: above 0, up to 1")
        shadow = Shadow(route(shape.shadow.candidate, "shadow.candidate"), shape.shadow.share)
    return ModelPolicy(default, fallback, canary, shadow)


def _check_weights(weights: Mapping[Route, float]) -> None:
    for route, weight in weights.items():
        if not weight >= 0:
            raise ConfigError(f"canary.weights: {route} has {weight}; allowed: 0 to 100 percent")
    total = math.fsum(weights.values())
    if not abs(total - 100) <= _SUM_TOLERANCE:
        raise ConfigError(
            f"canary.weights: they sum to {number(total)}; allowed: percentages that sum to 100"
        )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
