"""The seam every backend is written against.

An adapter is one class in one sibling file. It gets validated :class:`Rows` and gives back
:class:`Outputs`; it knows nothing of HTTP doors, routing or other adapters. Retries, breakers and
metrics are the router's business, connections and deadlines of HTTP servers that of
``backends/http.py``.
"""

from __future__ import annotations

import abc
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from gateway.errors import BackendError, ModelError
from gateway.models.repository import ModelVersion
from gateway.models.rows import Array, Outputs, Rows

if TYPE_CHECKING:
    from gateway.config import Settings

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)


@dataclass(frozen=True, eq=False)
class Target:
    """One lineage of one model version at one backend: what a request is finally sent to.

    ``options`` is the manifest's entry for it, checked by the adapter with :meth:`parse`.
    Compared and hashed by identity, so adapters may key what they load by it.
    """

    backend: str
    model: ModelVersion
    lineage: str
    options: Mapping[str, Any] = field(repr=False)

    def parse(self, kind: type[OptionsT]) -> OptionsT:
        """The options as the adapter's own struct; raises :class:`ModelError` naming the option."""
        try:
            return msgspec.convert(dict(self.options), kind)
        except msgspec.ValidationError as error:
            raise ModelError(
                f"{self.model.name}: backends.{self.backend}.lineages.{self.lineage}: {error}"
            ) from error


class Call(msgspec.Struct, frozen=True):
    """What travels with a prediction. ``deadline`` is a :func:`time.monotonic` time in seconds."""

    deadline: float
    headers: Mapping[str, str] = {}

    @classmethod
    def within(cls, seconds: float, headers: Mapping[str, str] | None = None) -> Call:
        """A call that may take ``seconds`` from now."""
        return cls(time.monotonic() + seconds, headers or {})

    @property
    def remaining(self) -> float:
        """Seconds left; 0 or less once the deadline has passed."""
        return self.deadline - time.monotonic()


@dataclass(frozen=True, slots=True)
class Health:
    """What a backend says of a target; ``stand_in`` names the stand-in that answers, if any."""

    ready: bool
    detail: str = ""
    stand_in: str | None = None


class Backend(abc.ABC):
    """One engine or server that answers predictions.

    ``name`` is what ``?backend=`` and the manifest call it; ``url`` is where it is, None for an
    engine inside this process. ``concurrency`` is how many calls for one target such an engine can
    use at once; what arrives meanwhile is batched. For a server it is a setting.
    """

    name: str
    url: str | None = None
    concurrency: int = 1

    @classmethod
    @abc.abstractmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The backend as the settings describe it."""

    @abc.abstractmethod
    async def load(self, target: Target) -> None:
        """Make ready what this process needs for ``target``: sessions, preprocessing.

        Does not need a remote server to be up. Raises :class:`ModelError` where the manifest's
        options or the artifacts cannot be used.
        """

    @abc.abstractmethod
    async def predict(self, target: Target, rows: Rows, call: Call) -> Outputs:
        """Answer a batch.

        Every output of the manifest by name, each an array of shape ``(rows.count, *shape)``; see
        :func:`conform`. Raises :class:`BackendUnavailable`, :class:`BackendTimeout` once
        ``call.deadline`` has passed, or :class:`BackendError` with the server's own words.
        """

    def predict_now(self, target: Target, rows: Rows) -> Outputs | None:
        """Answer as :meth:`predict` does, but at once and on the event loop's thread.

        None where that would take so long that the loop had to wait; :meth:`predict` is asked then.
        """
        return None

    def max_rows(self, target: Target) -> int:
        """Rows beyond which a call for a loaded target only takes longer and saves nothing."""
        return sys.maxsize

    @abc.abstractmethod
    async def check(self, target: Target, call: Call) -> Health:
        """Whether ``target`` can be predicted with now. Never raises for a server that is down."""

    def facts(self, target: Target) -> Mapping[str, Any]:
        """What ``GET /v1/backends`` says of a target beside its health; for most, nothing."""
        return {}

    async def unload(self, target: Target) -> None:  # noqa: B027 - nothing to free is common
        """Free what :meth:`load` made."""

    async def close(self) -> None:  # noqa: B027 - nothing to close is common
        """Close connections; the backend is not used again."""

    def __repr__(self) -> str:
        where = f" {self.url}" if self.url else ""
        return f"<{type(self).__name__} {self.name}{where}>"


def conform(
    target: Target, arrays: Mapping[str, Array], count: int, names: Mapping[str, str] | None = None
) -> Outputs:
    """A backend's arrays as the manifest's outputs.

    ``names`` maps an output to what the backend calls it; a backend's only array serves the
    manifest's only output whatever its name. A trailing dimension of one is dropped from scalars
    of batched models.
    Raises :class:`BackendError` when an output is missing or its row count is wrong.
    """
    outputs: dict[str, Array] = {}
    specs = target.model.manifest.outputs
    batched = target.model.manifest.batched
    for spec in specs:
        theirs = (names or {}).get(spec.name, spec.name)
        array = arrays.get(theirs)
        if array is None and len(specs) == len(arrays) == 1:
            array = next(iter(arrays.values()))
        if array is None:
            there = ", ".join(arrays)
            raise BackendError(
                target.backend, f"it answered no output {theirs!r}; there is: {there}"
            )
        if array.ndim == 0 or len(array) != count:
            rows = 0 if array.ndim == 0 else len(array)
            raise BackendError(target.backend, f"it answered {rows} rows of {count}")
        if not spec.shape and array.ndim == 2 and array.shape[1] == 1 and batched:
            array = array[:, 0]
        outputs[spec.name] = array
    return outputs
