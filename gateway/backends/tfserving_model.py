"""What the manifest says of a model at TensorFlow Serving, whichever protocol it is asked in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import msgspec

from gateway.backends.base import Target
from gateway.errors import ModelError
from gateway.models.graph import Graph
from gateway.models.rows import Array, Rows

#: ``version`` of the options: the gateway's own, or the server's choice.
SAME, LATEST = "same", "latest"


class TFServingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the server has the model.

    ``preprocess`` is the graph that turns raw features into the tensor ``input`` of the
    signature, or, with several outputs, into the inputs of their names; without it each feature is
    sent as the input of its name. ``outputs``
    renames the signature's outputs. ``version`` "latest" leaves the choice of version to the
    server; "same" (the default) asks for the number of the gateway's own version folder, so that
    the two can never differ unnoticed.
    """

    model: str
    signature: str = "serving_default"
    input: str | None = None
    preprocess: str | None = None
    outputs: dict[str, str] = {}
    version: str = SAME


@dataclass(frozen=True)
class ServedModel:
    """A target as the server knows it; ``version`` None leaves the choice to the server."""

    options: TFServingOptions
    version: int | None
    graph: Graph | None

    @classmethod
    def load(cls, target: Target) -> Self:
        """Check the options and load the preprocessing; raises :class:`ModelError`."""
        options = target.parse(TFServingOptions)
        if options.version not in (SAME, LATEST) and not options.version.isdecimal():
            raise ModelError(
                f"{target.model.name}: version {options.version!r} is none of {SAME}, {LATEST} or"
                " a number"
            )
        version = target.model.version if options.version == SAME else options.version
        graph = None
        if options.preprocess is not None:
            graph = Graph(target.model.artifact(options.preprocess), threads=1)
            manifest = target.model.manifest
            graph.check_inputs({feature.name for feature in manifest.features}, manifest.gaps)
            if options.input is not None and len(graph.outputs) != 1:
                raise ModelError(f"{options.preprocess}: for one input it must have one output")
        if not target.model.manifest.batched:
            raise ModelError(f"{target.model.name}: TensorFlow Serving needs a batch dimension")
        return cls(options, None if version == LATEST else int(version), graph)

    def inputs(self, rows: Rows) -> Array | dict[str, Array]:
        """The signature's inputs by name; the bare tensor where its only input needs no name.

        Each has ``rows.count`` as its first dimension.
        """
        if self.graph is None:
            return rows.columns
        tensors = self.graph.run(rows)
        if len(tensors) > 1:
            return dict(tensors)
        (tensor,) = tensors.values()
        return tensor if self.options.input is None else {self.options.input: tensor}
