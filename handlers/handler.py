"""TorchServe handler for any model folder: validates, preprocesses and answers as the gateway does.

It knows no model. Packed beside it in the archive are ``model.yaml`` (what a payload is, how the
outputs are called), ``preprocess.onnx`` (raw features to the network's tensors), the network's
class, its weights, and the part of the ``gateway`` package that reads the former two.

Protocol: https://docs.pytorch.org/serve/custom_service.html — ``handle`` gets a list of requests
and returns a list of as many answers. An exception would fail all of them with a 503, which says
that the server is gone, so each request gets a status of its own by
``context.set_response_status``.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

# What is packed with the model comes before whatever is installed beside TorchServe.
sys.path.insert(0, str(Path(__file__).parent))

from gateway.errors import InputRefused, InvalidInput, InvalidRequest, shorten, words_of
from gateway.models.graph import Graph
from gateway.models.labels import Labels
from gateway.models.manifest import Manifest
from gateway.models.refusal import refusal
from gateway.models.rows import Array, Rows, join
from gateway.models.validator import Validator
from handlers.limits import limits
from handlers.request_body import read_rows

#: What PyTorch and numpy say of an index in a tensor; a network's own mistakes read otherwise.
_BAD_INDEX = re.compile(r"out of range in self|out of bounds for (?:dimension|axis)")
#: A request's place among those of a call, its rows, and whether it is answered by a list.
Asked = tuple[int, Rows, bool]


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
        self._validator = Validator(self._manifest, *limits(), each_alone=True)
        self._labels = Labels(self._manifest)
        self._preprocess = Graph(folder / "preprocess.onnx", threads=1)
        names = {feature.name for feature in self._manifest.features}
        self._preprocess.check_inputs(names, self._manifest.gaps)
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
        One that the network fails on gets the same, of type ``InputRefused``, where an index or a
        dimension is at fault, else 500 with the exception's type; its neighbours are answered.
        """
        answers = [b""] * len(requests)
        batches: dict[tuple[Any, ...], list[Asked]] = defaultdict(list)
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
            for index, answer in self._answer(batch, context):
                answers[index] = answer
        return answers

    def _answer(self, batch: Sequence[Asked], context: Any) -> Iterator[tuple[int, bytes]]:
        """Each request's answer; where the call for all fails, by a call for each."""
        try:
            results = iter(self._predict(join([rows for _, rows, _ in batch])))
        except Exception as error:
            if len(batch) == 1:
                yield batch[0][0], _fail(context, batch[0][0], error)
            else:
                for asked in batch:
                    yield from self._answer([asked], context)
            return
        for index, rows, many in batch:
            answer = [next(results) for _ in range(rows.count)]
            yield index, json.dumps(answer if many else answer[0]).encode()

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
    errors = {"errors": [{"field": "body", "detail": error.detail}]}
    members = error.members if isinstance(error, InvalidInput) else errors
    return _bad_request(context, index, error, error.detail, members)


def _fail(context: Any, index: int, error: Exception) -> bytes:
    """The answer to a request on which preprocessing or the network failed."""
    words = refusal(error, proven=True)
    if isinstance(error, IndexError) and _BAD_INDEX.search(str(error)):
        words = str(error)
    if words is not None:
        logging.getLogger(__name__).warning("a request was refused: %s", words)
        refused = InputRefused("torchserve", words)
        return _bad_request(context, index, refused, words, {"errors": refused.members["errors"]})
    logging.getLogger(__name__).error("a request failed", exc_info=error)
    context.set_response_status(500, "Internal Server Error", idx=index)
    answer = {"code": 500, "type": type(error).__name__, "message": shorten(words_of(error), 500)}
    return json.dumps(answer).encode()


def _bad_request(
    context: Any, index: int, error: Exception, message: str, members: Mapping[str, Any]
) -> bytes:
    context.set_response_status(400, "Bad Request", idx=index)
    answer = {"code": 400, "type": type(error).__name__, "message": message, **members}
    return json.dumps(answer).encode()
