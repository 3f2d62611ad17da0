"""What the query of a request means: the targets to ask, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.backends.base import Target
from gateway.errors import NotFound
from gateway.models.repository import ModelVersion
from gateway.routing.policy import AUTO, Canary, ModelPolicy, Route

#: Targets by lineage by backend, in the manifest's order.
Offered = Mapping[str, Mapping[str, Target]]


class Selection:
    """The targets for one query, until the policy or the versions change.

    ``fixed`` holds for every request without a canary; with one, the draw of each decides.
    """

    __slots__ = ("_by_route", "_canary", "_sticky", "fixed")

    def __init__(
        self,
        fixed: tuple[Target, ...],
        canary: Canary | None = None,
        by_route: Mapping[Route, tuple[Target, ...]] | None = None,
    ) -> None:
        self.fixed = fixed
        self._canary = canary
        self._sticky = canary.sticky if canary is not None else None
        self._by_route = by_route or {}

    @property
    def everyone(self) -> set[Target]:
        """All whom a request may be meant for."""
        return {*self.fixed, *(one for targets in self._by_route.values() for one in targets)}

    def targets(self, headers: Mapping[str, str], identity: str) -> tuple[Target, ...]:
        """Whom to ask for this request, first the one that shall answer."""
        if self._canary is None:
            return self.fixed
        key = headers.get(self._sticky) if self._sticky is not None else None
        return self._by_route[self._canary.draw(identity if key is None else key)]


def select(
    entry: ModelVersion,
    offered: Offered,
    policy: ModelPolicy,
    preferred: str,
    backend: str | None,
    lineage: str | None,
) -> Selection:
    """The selection for ``?backend=`` and ``?lineage=``; raises :class:`NotFound`.

    A backend that is named answers, by its first lineage or the one named. Otherwise it is the
    canary's draw, the policy's default, the ``preferred`` backend of the settings or the manifest's
    first, whichever comes first and has the lineage named. Where the request goes on, those of
    ``fallback`` follow; without any, the backends that have the first one's lineage, because others
    would answer something else.
    """
    where = f" of model {entry.name}"
    if backend is not None and backend != AUTO:
        if backend not in offered:
            raise NotFound("backend", backend, [*offered, AUTO], where)
        target = find(offered, Route(backend), lineage)
        if target is None:
            known = list(offered[backend])
            raise NotFound("lineage", lineage or "", known, f" of backend {backend}")
        return Selection((target,))
    default = policy.default if isinstance(policy.default, Route) else None
    routes = [route for route in (default, Route(preferred)) if route is not None]
    routes += [Route(name) for name in offered]
    able = [target for route in routes if (target := find(offered, route, lineage)) is not None]
    if not able:
        raise NotFound("lineage", lineage or "", _lineages(offered), where)
    first = able[0]
    behind = _behind(first, offered, policy, lineage) if policy.goes_on(backend) else []
    canary = policy.canary
    if canary is None:
        return Selection(_chain(first, behind))
    by_route = {
        route: _chain(find(offered, route, lineage) or first, [*behind, first] if behind else [])
        for route in canary.weights
    }
    return Selection(_chain(first, behind), canary, by_route)


def select_all(
    entry: ModelVersion,
    offered: Offered,
    backends: Sequence[str] | None,
    lineage: str | None,
) -> tuple[Target, ...]:
    """All targets of these ``backends``, or of every one, in the manifest's order.

    With ``lineage`` those of that one only, which each backend that is named must have. Raises
    :class:`NotFound`.
    """
    where = f" of model {entry.name}"
    for name in backends or ():
        if name not in offered:
            raise NotFound("backend", name, list(offered), where)
        if lineage is not None and lineage not in offered[name]:
            raise NotFound("lineage", lineage, list(offered[name]), f" of backend {name}")
    targets = tuple(
        target
        for backend, lineages in offered.items()
        if backends is None or backend in backends
        for name, target in lineages.items()
        if lineage is None or name == lineage
    )
    if not targets:
        raise NotFound("lineage", lineage or "", _lineages(offered), where)
    return targets


def _lineages(offered: Offered) -> list[str]:
    return list(dict.fromkeys(name for lineages in offered.values() for name in lineages))


def _behind(
    first: Target, offered: Offered, policy: ModelPolicy, lineage: str | None
) -> list[Target]:
    """The targets a request goes on to."""
    if policy.fallback:
        found = [find(offered, route, lineage) for route in policy.fallback]
    else:
        found = [find(offered, Route(name, first.lineage), lineage) for name in offered]
    return [target for target in found if target is not None]


def find(offered: Offered, route: Route, lineage: str | None) -> Target | None:
    """The route's target, of this lineage where one is given; None where there is none."""
    lineages = offered.get(route.backend)
    if not lineages or (lineage and route.lineage and lineage != route.lineage):
        return None
    wanted = lineage or route.lineage
    return lineages.get(wanted) if wanted else next(iter(lineages.values()))


def _chain(first: Target, behind: Sequence[Target]) -> tuple[Target, ...]:
    """First and those behind it, each once, and only those that take the same payload."""
    features = first.model.manifest.features
    fit = [target for target in behind if target.model.manifest.features == features]
    return tuple(dict.fromkeys([first, *fit]))
