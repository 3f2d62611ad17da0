"""The files a backend serves a model version from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.errors import ModelError
from gateway.models.repository import ModelVersion
from loadtests.compare.cost.disk import size_mb
from loadtests.compare.errors import CompareError
from loadtests.compare.results import Figure, figure_id
from serving.launch import LaunchError
from serving.launch.repository import archives, saved_models
from serving.layout import SAVED_MODEL

Options = Mapping[str, Any]


def artifacts(version: ModelVersion, backend: str, lineage: str) -> list[Path]:
    """Files and folders that ``backend`` needs for a lineage; preprocessing is one of them.

    Raises :class:`CompareError` where that is not known, or a file is not there.
    """
    spec = version.manifest.backends.get(backend)
    if spec is None or lineage not in spec.lineages:
        raise CompareError(f"not applicable: {version.name} has no {backend}/{lineage}")
    kind = _KINDS.get(backend)
    if kind is None:
        raise CompareError(f"not applicable: the files of {backend} are not known")
    try:
        return kind(version, spec.lineages[lineage])
    except ModelError as error:
        raise CompareError(error.detail) from error
    except LaunchError as error:
        raise CompareError(error.message) from error


def artifact(
    name: str,
    version: ModelVersion,
    lineages: Sequence[tuple[str, str]],
    stand_in: str | None = None,
) -> Figure:
    """MB (10⁶ bytes) of the files of one or more (backend, lineage), under ``name``.

    ``name`` is a server's or a subject's; a file that serves several counts once. The remark lists
    the files.
    """
    value, remark = None, "not applicable: it serves no file of this model"
    try:
        paths = dict.fromkeys(path for way in lineages for path in artifacts(version, *way))
        if paths:
            value = size_mb(paths)
            remark = ", ".join(f"{path.name} {size_mb([path]) * 1000:,.1f} kB" for path in paths)
    except CompareError as error:
        value, remark = None, str(error)
    return Figure(
        id=figure_id("cost", name, "artifact"),
        what=f"files of {version.name} for {name}",
        value=value,
        unit="MB",
        stand_in=stand_in,
        remark=remark,
    )


def _onnx(version: ModelVersion, options: Options) -> list[Path]:
    graph = version.artifact(str(options.get("artifact")))
    # Weights beyond 2 GB lie beside the graph, as torch.onnx and onnx.save name them.
    return [graph, *sorted(graph.parent.glob(f"{graph.name}[._]data"))]


def _archive(version: ModelVersion, options: Options) -> list[Path]:
    found = [
        archive.path
        for archive in archives(version.folder.parent)
        if archive.name == options.get("model") and archive.path.parent == version.folder
    ]
    if not found:
        raise CompareError(
            f"no archive of {options.get('model')} in {version.name}/{version.version}"
        )
    return found


def _saved_model(version: ModelVersion, options: Options) -> list[Path]:
    exported = saved_models(version.folder.parent).get(str(options.get("model")), {})
    if version.version not in exported:
        raise CompareError(f"no {SAVED_MODEL} in {version.name}/{version.version}")
    # The graph in front of it runs in the gateway; ONNX files and archives hold theirs inside.
    preprocess = options.get("preprocess")
    before = [] if preprocess is None else [version.artifact(str(preprocess))]
    return [exported[version.version], *before]


#: How each backend's files are found, by its name in the manifest.
_KINDS: Mapping[str, Callable[[ModelVersion, Options], list[Path]]] = {
    "onnx": _onnx,
    "torchserve": _archive,
    "tfserving": _saved_model,
}
