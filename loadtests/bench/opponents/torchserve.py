"""TorchServe called directly: the real one, with this project's archive and configuration.

Two settings of its own batching: none, its default, and its best here (16 rows, 1 ms; 0 would mean
100 ms).
"""

from __future__ import annotations

import json
from pathlib import Path

from loadtests.bench.endpoint import Endpoint, answer_object, instances
from loadtests.bench.opponents.opponent import Place
from serving.launch import TorchServe
from serving.launch.properties import read_properties, write_properties
from serving.launch.repository import archives
from serving.launch.torchserve import TorchServePorts, default_config

_DELAY_MS = 1


def server(place: Place, batch_size: int) -> TorchServe:
    """TorchServe with one worker and this batch size, on free ports; raises LaunchError."""
    run_dir = place.run_dir / f"torchserve-{batch_size}"
    run_dir.mkdir(parents=True, exist_ok=True)
    config = run_dir / "given.properties"
    _write_config(place, batch_size, config)
    return TorchServe(run_dir, place.repository, TorchServePorts(0, 0, 0, 0, 0), config)


def endpoint(torchserve: TorchServe, batch_size: int) -> Endpoint:
    """The descriptive payload; the handler in the archive preprocesses."""
    batching = f"batches of {batch_size}, {_DELAY_MS} ms" if batch_size > 1 else "batch 1"
    title = f"TorchServe, {batching}"
    return Endpoint(title, torchserve, "/predictions/weight-change", instances, answer_object)


def _write_config(place: Place, batch_size: int, path: Path) -> None:
    models = {
        archive.name: {
            archive.version: {
                "minWorkers": 1,
                "maxWorkers": 1,
                "batchSize": batch_size,
                "maxBatchDelay": _DELAY_MS,
                "responseTimeout": 10,
            }
        }
        for archive in archives(place.repository)
    }
    settings = read_properties(default_config()) | {"models": json.dumps(models)}
    write_properties(path, settings)
