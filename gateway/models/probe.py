"""What a graph nobody described shows when it is run: inputs it answers, and what a row is."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from gateway.models.graph import DTYPES, Graph
from gateway.models.rows import Array, Outputs

Arrays = dict[str, Array]
Sizes = tuple[int, ...]

#: Sizes tried for dimensions that vary; the first is the manifest's own choice.
_SIZES = (1, 2, 4, 8, 16, 32, 64, 224)
#: Pictures tried where an input has four dimensions: heights and widths. The smallest comes last:
#: of a single patch, it would be taken by graphs that are made for more.
_SIDES = (224, 32, 64, 128, 256, 299, 384, 512, 640, 28)
#: Where their channels are, and how many, with the batch before them.
_LAYOUTS: tuple[Callable[[int, int], Sizes], ...] = (
    lambda batch, side: (batch, 3, side, side),
    lambda batch, side: (batch, 1, side, side),
    lambda batch, side: (batch, side, side, 3),
    lambda batch, side: (batch, side, side, 1),
)
#: Bytes of all inputs beyond which sizes are not tried; those a graph itself declares are.
_MAX_BYTES = 16 * 2**20
#: Seconds after which no further inputs are tried, and no further rows.
_PATIENCE_S = 3.0
#: How far a row's outputs may be from those it has alone, relative and absolute, and for float16:
#: the kernels for one row and for several round differently.
_TOLERANCE = (1e-3, 1e-5)
_HALF_TOLERANCE = (2e-2, 1e-3)

#: What the texts of two rows are made of: they differ in their number of words, too.
_TEXTS = (["a", "b"], ["c d", "e f g"])


def find_example(graph: Graph) -> tuple[Arrays | None, bool]:
    """Whole arrays, by input, that the graph answers; and whether they are plain zeros.

    Those whose outputs are finite come first. None where nothing that was tried is answered.
    """
    second: Arrays | None = None
    started = time.monotonic()
    for number, arrays in enumerate(_candidates(graph)):
        outputs = answer(graph, arrays)
        if outputs is not None and _finite(outputs):
            return arrays, number == 0
        if outputs is not None and second is None:
            second = arrays
        if time.monotonic() - started > _PATIENCE_S:
            break
    return second, False


def rows_are_independent(graph: Graph, example: Arrays, size: int | None = None) -> bool:
    """Whether rows put together in the first dimension are answered as each is alone.

    ``size`` is that dimension's where it does not vary; a row alone is then repeated that often,
    as :meth:`Graph.run` fills up a batch. Tried with rows that differ from each other, twice, or
    once where the graph is slow; False where none of them is answered.
    """
    generator = np.random.default_rng(0)
    started = time.monotonic()

    def patient() -> bool:
        return time.monotonic() - started <= _PATIENCE_S

    for lowest in (0, 1, None):
        held = _holds(graph, example, size, generator, lowest)
        if held and (not patient() or _holds(graph, example, size, generator, lowest)):
            return True
        if not patient():
            return False
    return False


def _holds(
    graph: Graph,
    example: Arrays,
    size: int | None,
    generator: np.random.Generator,
    lowest: int | None,
) -> bool:
    """Two rows in turn, and each alone, whose outputs must be the same wherever they stand."""
    rows = [_drawn(example, generator, lowest, texts) for texts in _TEXTS]
    if lowest is not None:
        rows[1] |= _opposite(rows[0], lowest)
    if all(np.array_equal(array, rows[1][name]) for name, array in rows[0].items()):
        return False  # nothing is learnt from rows that are alike
    alone = [answer(graph, _stack([row] * (size or 1))) for row in rows]
    count = size or 3
    together = answer(graph, _stack([rows[index % 2] for index in range(count)]))
    first, second = alone
    if together is None or first is None or second is None:
        return False
    pair = first, second
    return all(
        _first_is(array, count)
        and all(_first_is(own[name], size or 1) for own in pair)
        and all(_close(own[name], own[name][:1]) for own in pair)
        and all(_close(array[i::2], pair[i][name][:1]) for i in range(min(count, 2)))
        for name, array in together.items()
    )


def _first_is(array: Array, size: int) -> bool:
    return array.ndim > 0 and len(array) == size


def _candidates(graph: Graph) -> Iterator[Arrays]:
    """Inputs worth a try, the simplest first."""
    dtypes = {name: np.dtype(DTYPES[node.type]) for name, node in graph.inputs.items()}
    floats = [dtype.kind == "f" for dtype in dtypes.values()]
    fills = [
        ("zeros", "ones", "count") if any(floats) else ("zeros",),
        ("zeros",) if all(floats) else ("zeros", "ones", "count", "rest"),
    ]
    for shapes in _shapes(graph):
        for numbers, whole in itertools.product(*fills):
            yield {
                name: _filled(shape, dtypes[name], numbers, whole) for name, shape in shapes.items()
            }


def _shapes(graph: Graph) -> Iterator[dict[str, Sizes]]:
    """Shapes worth a try, by input: one size for all that varies, and pictures."""
    declared = {name: tuple(node.shape) for name, node in graph.inputs.items()}
    items = {name: np.dtype(DTYPES[node.type]).itemsize for name, node in graph.inputs.items()}
    tried: list[dict[str, Sizes]] = []
    for size, layout, side in [
        *((size, None, 0) for size in _SIZES),
        *((batch, *picture) for batch in (1, 2) for picture in itertools.product(_LAYOUTS, _SIDES)),
    ]:
        shapes = {
            name: _sizes(shape, layout(size, side) if layout and len(shape) == 4 else None, size)
            for name, shape in declared.items()
        }
        count = sum(math.prod(shape) * items[name] for name, shape in shapes.items())
        if shapes not in tried and (not tried or count <= _MAX_BYTES):
            tried.append(shapes)
            yield shapes


def _sizes(declared: tuple[object, ...], picture: Sizes | None, size: int) -> Sizes:
    """The declared sizes; those that vary as in the picture, or else ``size``."""
    wanted = picture or (size,) * len(declared)
    return tuple(
        own if isinstance(own, int) else other for own, other in zip(declared, wanted, strict=True)
    )


def _filled(shape: Sizes, dtype: np.dtype[np.generic], numbers: str, whole: str) -> Array:
    """An array of zeros, of ones, that counts up, or whose first element takes what is left.

    The latter is what graphs read as a shape: one dimension of unknown size, the others 1.
    """
    if dtype.kind == "O":
        return np.full(shape, "" if whole == "zeros" else "a", dtype)
    way = numbers if dtype.kind == "f" else whole
    if way == "zeros" or (way == "rest" and dtype.kind in "ub"):
        return np.zeros(shape, dtype)
    if way == "count" and dtype.kind != "b":
        return np.resize(np.arange(100).astype(dtype), shape)  # which fits in every type
    filled: Array = np.ones(shape, dtype)
    if way == "rest" and filled.size:
        filled.flat[0] = -1
    return filled


def _drawn(
    example: Arrays, generator: np.random.Generator, lowest: int | None, texts: list[str]
) -> Arrays:
    """A row like the example's, of other values; whole numbers stay where ``lowest`` is None."""
    drawn: Arrays = {}
    for name, array in example.items():
        shape = (1, *array.shape[1:])
        if array.dtype == object:
            values = generator.choice(np.array(texts, object), shape)
        elif array.dtype.kind == "f":
            values = generator.uniform(0.1, 1.0, shape)
        elif lowest is None:
            values = array[:1]
        else:
            values = generator.integers(lowest, lowest + 2, shape)
        drawn[name] = np.asarray(values).astype(array.dtype)
    return drawn


def _opposite(row: Arrays, lowest: int) -> Arrays:
    """Its whole numbers and truths, drawn from two values each, as the other of the two.

    Two rows of few values, drawn each for itself, would often be alike.
    """
    return {
        name: (2 * lowest + 1 - array.astype(np.int64)).astype(array.dtype)
        for name, array in row.items()
        if array.dtype.kind in "iub"
    }


def _stack(rows: list[Arrays]) -> Arrays:
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def answer(graph: Graph, arrays: Arrays) -> Outputs | None:
    """What the graph makes of whole arrays; None where it refuses them."""
    try:
        outputs = graph.call(arrays, quiet=True)
    except Exception:  # ONNX Runtime's exceptions share no base of their own
        return None
    return {name: np.asarray(array) for name, array in outputs.items()}


def _finite(outputs: Mapping[str, Array]) -> bool:
    return all(
        array.dtype.kind != "f" or bool(np.isfinite(array).all()) for array in outputs.values()
    )


def _close(rows: Array, row: Array) -> bool:
    """Whether all rows are the one, of shape (1, …)."""
    if rows.shape[1:] != row.shape[1:]:
        return False
    if rows.dtype.kind != "f":
        return bool((rows == row).all())
    relative, absolute = _HALF_TOLERANCE if rows.itemsize == 2 else _TOLERANCE
    return np.allclose(rows, row, rtol=relative, atol=absolute, equal_nan=True)
