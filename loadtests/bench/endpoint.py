"""What is measured: a server, a URL of it, and what its requests and answers look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.bench.payload import Row
from serving.launch import Server
from serving.layout import PYTORCH

#: The one output of the model served everywhere.
ANSWER = "weight_change"


@dataclass(frozen=True, eq=False)
class Endpoint:
    """One contestant.

    ``encode`` gives the JSON content of a body with these rows, ``decode`` the predictions in the
    JSON content of its answer. ``graph`` is the file of the model's version folder whose answers
    it must give. ``behind`` are the servers that ``server`` forwards to; they start first. ``note``
    says how its requests differ from the descriptive payload, if they do.
    """

    title: str
    server: Server
    path: str
    encode: Callable[[Sequence[Row]], Any]
    decode: Callable[[Any], Sequence[float]]
    graph: str = PYTORCH
    behind: tuple[Server, ...] = ()
    note: str = ""

    @property
    def url(self) -> str:
        """Where requests go."""
        return self.server.url + self.path

    @property
    def servers(self) -> tuple[Server, ...]:
        """All processes it needs, in the order in which they start."""
        return (*self.behind, self.server)

    @property
    def stand_in(self) -> bool:
        """Whether one of its servers only stands in for what it is called."""
        return any(server.stand_in for server in self.servers)

    @property
    def name(self) -> str:
        """The title, marked where a stand-in answers."""
        return f"{self.title} [stand-in]" if self.stand_in else self.title


def one_object(rows: Sequence[Row]) -> Any:
    """The descriptive payload: one object of features; for endpoints that take no more."""
    (row,) = rows
    return row


def instances(rows: Sequence[Row]) -> Any:
    """The gateway's and the TorchServe handler's bodies: an object, or ``{"instances": […]}``."""
    return rows[0] if len(rows) == 1 else {"instances": list(rows)}


def tensors(rows: Sequence[Row]) -> Any:
    """An Open Inference Protocol V2 body: an input of shape [n, 1] for each feature."""
    return {
        "inputs": [
            {
                "name": name,
                "shape": [len(rows), 1],
                "datatype": "BYTES" if isinstance(value, str) else "FP32",
                "data": [row[name] for row in rows],
            }
            for name, value in rows[0].items()
        ]
    }


def answer_object(content: Any) -> list[float]:
    """``{"weight_change": …}``, or a list of such."""
    return [row[ANSWER] for row in (content if isinstance(content, list) else [content])]


def answer_predictions(content: Any) -> list[float]:
    """The gateway's ``{"predictions": [{"weight_change": …}, …], …}``."""
    return answer_object(content["predictions"])


def answer_tensor(content: Any) -> list[float]:
    """The only output of an Open Inference Protocol V2 reply."""
    (output,) = content["outputs"]
    values: list[float] = output["data"]
    return values
