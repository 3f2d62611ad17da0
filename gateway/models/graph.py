"""An ONNX graph run by ONNX Runtime: raw features or tensors in, named arrays out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from gateway.errors import ModelError
from gateway.models.cpus import available_cpus
from gateway.models.rows import Array, Inputs, Outputs, Rows, concat_outputs
from gateway.models.session import CPU, open_session

#: ONNX tensor element types as ONNX Runtime spells them → numpy. Strings must be object arrays:
#: ONNX Runtime takes bytes ("S") arrays without a word and answers something else.
DTYPES: dict[str, type] = {
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}

_QUIET = ort.RunOptions()
_QUIET.log_severity_level = 4


class UnevenAnswers(ValueError):
    """The answers to several rows differ in shape, so they are no batch."""


class Graph:
    """One ONNX Runtime session. ``run`` may be called from several threads at once.

    ``threads`` is the intra-op thread count; 0 takes what the cgroup's CPU quota allows
    (:func:`available_cpus`), because ONNX Runtime alone would count the host's cores.
    ``providers`` are the execution providers asked for, and ``placement`` says which there are.
    With ``batched`` the first dimension of every input and output is the row; otherwise each row is
    a call of its own, its arrays whole. ``names`` says what the graph calls the inputs whose
    features are named otherwise. Raises :class:`ModelError` when the file cannot be loaded or has
    an input that is no tensor.
    """

    def __init__(
        self,
        path: Path,
        threads: int = 0,
        *,
        providers: Sequence[str] = (CPU,),
        batched: bool = True,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self._session, self.placement = open_session(path, threads or available_cpus(), providers)
        # The C++ session below Python's: the wrapper checks again on every call what is checked
        # here once, for a third of the price of a small graph. Both take the same arguments.
        self._engine = getattr(self._session, "_sess", self._session)
        self.path = path
        self.inputs: dict[str, ort.NodeArg] = {i.name: i for i in self._session.get_inputs()}
        self.outputs: dict[str, ort.NodeArg] = {o.name: o for o in self._session.get_outputs()}
        self._output_names = list(self.outputs)
        for name, node in self.inputs.items():
            if node.type not in DTYPES:
                raise ModelError(f"{path.name}: input {name} is a {node.type}, not a known tensor")
        self._theirs = dict(names or {})
        ours = {theirs: name for name, theirs in self._theirs.items()}
        self._feeds: Inputs = {
            ours.get(name, name): (np.dtype(DTYPES[node.type]), len(node.shape))
            for name, node in self.inputs.items()
        }
        self.batched = batched
        #: The batch size the graph was built for, None where it takes any.
        self.fixed_batch = self._fixed_batch() if batched else None

    def run(self, rows: Rows) -> Outputs:
        """Outputs of a batch; each array's first dimension is ``rows.count``.

        A graph with a fixed batch dimension is run once per that many rows, the last time filled
        up by repeating the last row; one without a batch dimension once per row.
        """
        if not self.batched:
            return self._run_each(rows)
        feeds = rows.feeds(self._feeds)
        size = self.fixed_batch
        if size is None or rows.count == size:
            return self.call(feeds)
        parts: list[Outputs] = []
        for start in range(0, rows.count, size):
            count = min(size, rows.count - start)
            filled = {
                name: np.pad(
                    feed[start : start + count],
                    [(0, size - count), *[(0, 0)] * (feed.ndim - 1)],
                    mode="edge",
                )
                for name, feed in feeds.items()
            }
            parts.append({name: out[:count] for name, out in self.call(filled).items()})
        return concat_outputs(parts)

    def check_inputs(self, names: set[str], gaps: Collection[str] = ()) -> None:
        """Raise :class:`ModelError` unless the graph's inputs are exactly these names.

        Those in ``gaps`` must be floats: there is no NaN in a whole number.
        """
        if set(self._feeds) != names:
            missing = sorted(set(self._feeds) - names)
            unused = sorted(names - set(self._feeds))
            raise ModelError(
                f"{self.path.name}: inputs the manifest lacks: {missing}; features the graph "
                f"does not take: {unused}"
            )
        for name in gaps:
            if self._feeds[name][0].kind != "f":
                raise ModelError(
                    f"{self.path.name}: feature {name} has finite: false, but the graph takes "
                    f"{self._feeds[name][0]}, which has no NaN"
                )

    def feeds(self, rows: Rows) -> dict[str, Array]:
        """What the engine itself is given for ``rows``, an array per input by the graph's name.

        All rows as one call, whatever batch the graph was built for; without a batch dimension
        the first row's.
        """
        feeds = rows.feeds(self._feeds) if self.batched else self._row_feeds(rows, 0)
        return {self._theirs.get(name, name): feed for name, feed in feeds.items()}

    def _row_feeds(self, rows: Rows, index: int) -> dict[str, Array]:
        columns = rows.columns
        return {
            name: _whole(columns[name][index], dtype, rank)
            for name, (dtype, rank) in self._feeds.items()
        }

    def _run_each(self, rows: Rows) -> Outputs:
        """A call per row; raises :class:`UnevenAnswers` where their outputs differ in shape."""
        parts = [self.call(self._row_feeds(rows, index)) for index in range(rows.count)]
        try:
            return {name: np.stack([part[name] for part in parts]) for name in self._output_names}
        except ValueError as error:
            raise UnevenAnswers(
                "the answers to its instances differ in shape: send each in a request of its own"
            ) from error

    def call(self, feeds: dict[str, Array], quiet: bool = True) -> Outputs:
        """One run of the graph on these very arrays, by feature.

        ``quiet`` keeps ONNX Runtime from logging what it raises: clients could fill the log.
        """
        if self._theirs:
            feeds = {self._theirs.get(name, name): feed for name, feed in feeds.items()}
        results = self._engine.run(self._output_names, feeds, _QUIET if quiet else None)
        return dict(zip(self._output_names, results, strict=True))

    def _fixed_batch(self) -> int | None:
        sizes = {node.shape[0] for node in self.inputs.values() if node.shape}
        fixed = {size for size in sizes if isinstance(size, int)}
        if not fixed:
            return None
        if len(fixed) > 1 or len(sizes) > 1:
            raise ModelError(f"{self.path.name}: its inputs disagree about the batch size")
        return fixed.pop()


def _whole(value: object, dtype: np.dtype[Any], rank: int) -> Array:
    """One row's value as the whole of an input: of its dtype, with its rank at least."""
    array: Array = np.asarray(value, dtype)
    return array.reshape((1,) * (rank - array.ndim) + array.shape)
