"""What the experiments find, as data: the JSON they write, and what tables and plots show."""

from __future__ import annotations

import msgspec

from serving.spread import Spread


class Timing(msgspec.Struct, frozen=True):
    """One call with a batch of that many rows, in µs, over the rounds."""

    batch: int
    call_us: Spread


class EngineCell(msgspec.Struct, frozen=True, kw_only=True):
    """One engine on a network of ``inputs`` inputs with a batch of ``batch`` rows.

    ``ratio`` is its time ÷ that of ONNX Runtime, round by round. ``difference`` is its largest
    absolute difference from the same network computed in float64. ``first_s`` is the time from the
    loaded network to the first answer at this batch size, compilation included. All are None
    where the engine could not take part, and ``reason`` says why.
    """

    inputs: int
    batch: int
    engine: str
    call_us: Spread | None = None
    ratio: Spread | None = None
    difference: float | None = None
    first_s: float | None = None
    reason: str = ""


class EngineStart(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine does once: ``load_s`` seconds to load the network of ``inputs`` inputs."""

    inputs: int
    engine: str
    load_s: float


class Engines(msgspec.Struct, frozen=True, kw_only=True):
    """Networks of several sizes, the same weights in every engine.

    ``prepared_s`` is what an engine needs once per machine before it can load anything, by engine.
    """

    conditions: dict[str, str]
    engines: list[str]
    tolerance: float
    prepared_s: dict[str, float] = {}
    starts: list[EngineStart] = []
    cells: list[EngineCell] = []


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One form of a graph.

    ``nodes`` counts all nodes of the file, those of its subgraphs included, ``operators`` them by
    type; ``size`` is the file's in bytes; ``create_ms`` the time to make a session of it.
    ``difference`` is the largest absolute difference from level ``disable_all``; infinite where
    something that is no number differs, or only one of the two is a number.
    """

    name: str
    nodes: int
    operators: dict[str, int]
    size: int
    create_ms: Spread
    calls: list[Timing]
    difference: float


class LeveledGraph(msgspec.Struct, frozen=True, kw_only=True):
    """A graph in all its forms, compared on ``rows`` rows; the first form is the file itself."""

    graph: str
    rows: int
    tolerance: float
    levels: list[Level]


class Levels(msgspec.Struct, frozen=True, kw_only=True):
    """The optimization levels of ONNX Runtime."""

    conditions: dict[str, str]
    graphs: list[LeveledGraph]


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """An execution provider that this build of ONNX Runtime has.

    ``active``: a session asked for it has it. ``nodes`` says which provider really ran how many
    nodes of that session: what a provider does not take, ONNX Runtime gives to the CPU. ``calls``
    are that session's times, empty where it could not be made, which ``reason`` explains.
    """

    name: str
    active: bool
    nodes: dict[str, int] = {}
    calls: list[Timing] = []
    reason: str = ""

    @property
    def own(self) -> int:
        """Nodes the provider ran itself."""
        return self.nodes.get(self.name, 0)


class Providers(msgspec.Struct, frozen=True, kw_only=True):
    """The execution providers; ``absent`` are those ONNX Runtime knows and this build lacks."""

    conditions: dict[str, str]
    graph: str
    providers: list[Provider]
    absent: list[str]
