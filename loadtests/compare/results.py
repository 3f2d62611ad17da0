"""What a comparison has found: one document, which is the JSON report, and which the others show.

Every number that is shown, and that a sentence of advice may rest on, is a :class:`Figure` with an
id of its own, so that a reader can go from the sentence to the figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

#: The version of the document's form; a reader refuses what it does not know.
FORMAT = 1

Verdict = Literal["equivalent", "not equivalent", "undecided"]
Shape = Literal["closed", "open", "batch"]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A measured number.

    ``low`` to ``high`` is its 95 % confidence interval where there is one. ``value`` None: it could
    not be measured, ``remark`` says why. ``stand_in`` names the stand-in that has a part in it;
    such a figure never supports a sentence. ``id`` is unique in the document and fit for an HTML
    anchor: lower case letters, digits, ``.``, ``-`` and ``_``; see :func:`figure_id`.
    """

    id: str
    what: str
    value: float | None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    stand_in: str | None = None
    remark: str = ""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """One way to ask for a prediction.

    ``name`` is ``backend/lineage``, with `` direct`` behind it where clients ask the server itself
    instead of the gateway. ``server`` is the address of the backend's own server, None where it
    runs inside the gateway.
    """

    name: str
    backend: str
    lineage: str
    direct: bool = False
    server: str | None = None
    stand_in: str | None = None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured. ``busy`` says what else ran, if anything did."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    packages: dict[str, str] = {}
    pinned: bool = False
    busy: str | None = None


class Worst(msgspec.Struct, frozen=True, kw_only=True):
    """The row on which two subjects differ most; ``difference`` None: beyond all measure.

    ``reference`` and ``candidate`` are what they answered for ``output``; for a row that one of
    them refused, its words.
    """

    payload: Any
    output: str
    reference: Any
    candidate: Any
    difference: float | None


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A feature the difference depends on.

    ``share`` (0–1) is the feature's total effect on the difference: the part of its variance that
    goes away when the feature is known. ``mismatch`` compares how both react to a change of this
    feature alone: 0 alike, 1 one of them does not react, 2 opposite. ``named`` marks those the
    evidence speaks against; ``words`` is that evidence in a sentence.
    """

    feature: str
    share: float
    mismatch: float
    named: bool
    words: str = ""


class Histogram(msgspec.Struct, frozen=True):
    """``counts[i]`` values lay in ``edges[i]`` to ``edges[i + 1]``; ``zeros`` were exactly 0."""

    edges: list[float]
    counts: list[int]
    zeros: int = 0


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """Whether ``candidate`` answers as ``reference``, of the same lineage.

    ``rows`` by where they come from: ``examples``, ``edges``, ``generated``, ``file``. ``refused``
    are rows that exactly one of the two refused. ``labels`` is the share of equal labels, None
    where the outputs hold none. ``suspects`` is empty where they are equivalent.
    """

    lineage: str
    reference: str
    candidate: str
    tolerance: float
    rows: dict[str, int]
    refused: int
    verdict: Verdict
    evidence: str
    largest: Figure
    mean: Figure
    within: Figure
    labels: Figure | None = None
    worst: Worst | None = None
    histogram: Histogram | None = None
    suspects: list[Suspect] = []


class Distance(msgspec.Struct, frozen=True, kw_only=True):
    """How far apart two lineages are: trained apart, so this is no fault of either."""

    one: str
    other: str
    rows: int
    largest: Figure
    mean: Figure


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement. Latencies in ms, of answers with status 200, from the intended send time.

    ``errors`` counts what else came, by status and problem (``503 overloaded``), or by what
    happened (``no answer in time``). ``driver_busy`` is the share of its core the load generator
    used: near 1 it, not the server, was the limit.
    """

    seconds: float
    sent: int
    answered: int
    errors: dict[str, int]
    requests_per_s: float
    p50: float | None
    p90: float | None
    p99: float | None
    p999: float | None
    longest: float | None
    driver_busy: float


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One subject under one load, over all rounds.

    ``closed``: each of ``connections`` clients sends its next request when it has its answer.
    ``open``: requests are sent at random times, ``rate`` per second on average, whatever becomes of
    those before. ``batch``: closed, one client, ``rows`` in each body. The figures' values are
    medians over the rounds with the interval of their mean; ``curve`` holds (share, ms) pairs of
    the pooled latencies of all rounds, from every single one; empty where nothing was answered.
    """

    subject: str
    shape: Shape
    connections: int
    rate: float | None
    rows: int
    rounds: list[Round]
    requests_per_s: Figure
    p50: Figure
    p90: Figure
    p99: Figure
    p999: Figure
    error_share: Figure
    curve: list[tuple[float, float]] = []
    driver_limited: bool = False


class Contrast(msgspec.Struct, frozen=True, kw_only=True):
    """The candidate against the reference under the same load, round by round.

    ``ratio`` is candidate ÷ reference, ``difference`` candidate − reference in the measure's unit.
    ``better`` says which way is better for the candidate.
    """

    candidate: str
    reference: str
    shape: Shape
    connections: int
    rate: float | None
    rows: int
    measure: str
    better: Literal["higher", "lower"]
    ratio: Figure
    difference: Figure


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What one server takes; ``gateway`` is one of them. Figures are None where not applicable.

    ``processes`` are the names of its processes; memory is their resident memory together in MB
    (10⁶ bytes), ``memory_idle`` before the first load and ``memory_loaded`` right after the last.
    ``first_prediction`` is the time from starting the process to its first prediction in seconds;
    ``install`` what must be installed for it in MB, ``artifact`` the model's own file in MB, and
    ``image`` its container image in MB with the time to build it.
    """

    name: str
    processes: list[str]
    memory_idle: Figure
    memory_loaded: Figure
    first_prediction: Figure
    install: Figure
    artifact: Figure
    image: Figure | None = None
    image_build: Figure | None = None
    stand_in: str | None = None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What 1,000 predictions of one subject cost, under closed load of many clients.

    ``cpu`` is CPU seconds of all server processes that take part; ``by_server`` the same by server;
    ``price`` is per million predictions, from the user's price of a core-hour, None without one.
    """

    subject: str
    cpu: Figure
    by_server: dict[str, float]
    price: Figure | None = None


class LocustRun(msgspec.Struct, frozen=True, kw_only=True):
    """A headless run of Locust with the users of one backend.

    Locust's latencies count from the actual, not the intended, send time, and are rounded to two
    significant digits above 100 ms. ``history`` has a point per second.
    """

    backend: str
    users: int
    shape: str
    seconds: float
    requests: int
    failures: int
    requests_per_s: Figure
    p50: Figure
    p95: Figure
    p99: Figure
    history: list[Tick] = []
    stand_in: str | None = None


class Tick(msgspec.Struct, frozen=True):
    """One second of a Locust run; latencies in ms."""

    at_s: float
    users: int
    requests_per_s: float
    failures_per_s: float
    p50: float | None
    p95: float | None


class Sentence(msgspec.Struct, frozen=True):
    """Something that follows from the data, and the ids of the figures it follows from."""

    text: str
    figures: list[str]


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, per lineage that has a candidate and an original.

    ``action`` is ``move`` or ``stay`` where the data decides, else ``none``; ``sentences`` are its
    reasons, empty where the data does not decide. ``silent_because`` says why nothing is said.
    """

    lineage: str
    candidate: str
    reference: str
    action: Literal["move", "stay", "none"]
    sentences: list[Sentence] = []
    silent_because: list[str] = []


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. ``started`` is ISO 8601 in UTC; ``notes`` says what was not measured, and why."""

    format: int = FORMAT
    started: str
    seconds: float
    model: str
    version: str
    command: str
    machine: Machine
    subjects: list[Subject]
    parity: list[Parity] = []
    distances: list[Distance] = []
    points: list[Point] = []
    contrasts: list[Contrast] = []
    servers: list[Server] = []
    usage: list[Usage] = []
    locust: list[LocustRun] = []
    advice: list[Advice] = []
    notes: list[str] = []

    def figures(self) -> dict[str, Figure]:
        """Every figure by its id."""
        return {figure.id: figure for figure in _figures(self)}


def figure_id(*parts: object) -> str:
    """An id made of these parts: ``figure_id("speed", "closed", 64, "onnx/pytorch", "p50")``."""
    joined = ".".join(str(part) for part in parts).lower()
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in joined)


def _figures(part: Any) -> Iterator[Figure]:
    if isinstance(part, Figure):
        yield part
    elif isinstance(part, msgspec.Struct):
        for name in part.__struct_fields__:
            yield from _figures(getattr(part, name))
    elif isinstance(part, list):
        for each in part:
            yield from _figures(each)
