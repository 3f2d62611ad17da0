"""TorchServe handler for any model folder: validates, preprocesses and answers as the gateway does.

It knows no model. Packed beside it in the archive are ``model.yaml`` (what a payload is, how the
outputs are called), ``preprocess.onnx`` (raw features to the network's tensors), the network's
class, its weights, and the part of the ``gateway`` package that reads the former two.

Protocol: https://docs.pytorch.org/serve/custom_service.html — ``handle`` gets a list of requests
and returns a list of as many answers. An exception would fail all of them, so each request gets a
status of its own by ``context.set_response_status``.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

# What is packed with the model comes before whatever is installed beside TorchServe.
sys.path.insert(0, str(Path(__file__).parent))

from gateway.errors import InvalidInput, InvalidRequest
from gateway.models.graph import Graph
from gateway.models.labels import Labels
from gateway.models.manifest import Manifest
from gateway.models.rows import Array, Rows, join
from gateway.models.validator import Validator
from handlers.request_body import read_rows


class ModelFolderHandler:
    """Serves the network of one archive; see :meth:`handle` for what goes in and out."""

    def initialize(self, context: Any) -> None:
        """Load what the archive holds.

        `context` is TorchServe's ``ts.context.Context``; its manifest names the network's file and
        the weights. Weights load with ``weights_only``: nothing in them is executed. Raises where
        anything is missing or does not fit; TorchServe then reports the worker as failed.
        """
        # The worker's own INFO lines, several per request, would fill disks.
        logging.getLogger().setLevel(logging.WARNING)
        torch.set_num_threads(1)
        folder = Path(context.system_properties["model_dir"])
        packed = context.manifest["model"]
        self._manifest = Manifest.load(folder)
        # The gateway joins requests, each of which may have as much as it allows.
        self._validator = Validator(self._manifest, each_alone=True)
        self._labels = Labels(self._manifest)
        self._preprocess = Graph(folder / "preprocess.onnx", threads=1)
        self._preprocess.check_inputs({feature.name for feature in self._manifest.features})
        self._net = _network(folder / packed["modelFile"])
        weights = torch.load(
            folder / packed["serializedFile"], map_location="cpu", weights_only=True
        )
        self._net.load_state_dict(weights)
        self._net.eval()

    def handle(self, requests: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """One JSON answer per request, in order.

        A request with one object of features is answered by one object of outputs, a list of
        objects or ``{"instances": […]}`` by a list. All rows of all good requests go through the
        network together. A bad request alone gets status 400 and TorchServe's error form
        ``{"code", "type", "message"}`` plus ``errors``, one entry per field that does not fit.
        """
        answers = [b""] * len(requests)
        batches: dict[tuple[Any, ...], list[tuple[int, Rows, bool]]] = defaultdict(list)
        for index, request in enumerate(requests):
            context.set_response_content_type(index, "application/json")
            try:
                rows, many = read_rows(request, self._validator)
            except InvalidRequest as error:
                answers[index] = _refuse(context, index, error)
            else:
                # Tensor features may vary in shape; only rows of one shape fit in one batch.
                shapes = tuple(column.shape[1:] for column in rows.columns.values())
                batches[shapes].append((index, rows, many))
        for batch in batches.values():
            results = iter(self._predict(join([rows for _, rows, _ in batch])))
            for index, rows, many in batch:
                answer = [next(results) for _ in range(rows.count)]
                answers[index] = json.dumps(answer if many else answer[0]).encode()
        return answers

    def _predict(self, rows: Rows) -> list[dict[str, Any]]:
        """One object of outputs per row."""
        tensors = [torch.from_numpy(array) for array in self._preprocess.run(rows).values()]
        with torch.inference_mode():
            results = self._net(*tensors)
        if isinstance(results, torch.Tensor):
            results = (results,)
        arrays: dict[str, Array] = {}
        for output, result in zip(self._manifest.outputs, results, strict=True):
            sizes = [-1 if size is None else size for size in output.shape]
            arrays[output.name] = result.reshape(rows.count, *sizes).numpy()
        columns = {name: array.tolist() for name, array in arrays.items()}
        columns |= self._labels.columns(arrays)
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _network(path: Path) -> torch.nn.Module:
    """An instance of the only network class that the file defines."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is not a Python file", path=str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    classes = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, torch.nn.Module) and member.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise ImportError(f"{path.name} defines {len(classes)} networks, not one", path=str(path))
    net: torch.nn.Module = classes[0]()
    return net


def _refuse(context: Any, index: int, error: InvalidRequest) -> bytes:
    context.set_response_status(400, "Bad Request", idx=index)
    answer = {"code": 400, "type": type(error).__name__, "message": error.detail}
    if isinstance(error, InvalidInput):
        answer |= error.members
    else:
        answer["errors"] = [{"field": "body", "detail": error.detail}]
    return json.dumps(answer).encode()
