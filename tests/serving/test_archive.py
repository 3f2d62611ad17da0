"""The TorchServe archive: what is in it, and that it needs nothing but what is in it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import onnx
import pytest
import torch

from serving import layout
from serving.export import check
from serving.export.archive import load_net, make_archive
from serving.export.manifest import to_yaml
from serving.export.onnx_file import save
from serving.export.preprocess import transformer_to_onnx
from serving.weight_change import data
from serving.weight_change.definition import MANIFEST, NAME
from serving.weight_change.example import EXAMPLE
from serving.weight_change.net import WeightChangeNet
from serving.weight_change.transformer import WIDTH, make_transformer
from tests.conftest import REPOSITORY, ROOT, TALK

COMMITTED = REPOSITORY / NAME / layout.VERSION / layout.archive_name(NAME)

#: Loads an unpacked archive as a worker does, and tells where its code came from.
_WORKER = """
import json, sys
folder, payload = sys.argv[1:]
sys.path.insert(0, folder)
import handler, gateway.models.validator, handlers.request_body
from ts.context import Context, RequestProcessor
manifest = json.load(open(folder + "/MAR-INF/MANIFEST.json"))
context = Context("m", folder, manifest, 1, None, "0.12.0")
context.request_processor = [RequestProcessor({})]
service = handler.ModelFolderHandler()
service.initialize(context)
answer = service.handle([{"body": json.loads(payload)}], context)
files = [sys.modules[n].__file__ for n in sys.modules if n.split(".")[0] in ("gateway", "handlers")]
print(json.dumps({"answer": json.loads(answer[0]), "files": files}))
"""


@pytest.fixture(scope="module")
def net() -> WeightChangeNet:
    torch.manual_seed(3)
    net = WeightChangeNet()
    return net.eval()


@pytest.fixture(scope="module")
def archive(net: WeightChangeNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _pack(net, tmp_path_factory.mktemp("archive"))


def _pack(net: WeightChangeNet, folder: Path) -> Path:
    (folder / "model.yaml").write_text(to_yaml(MANIFEST), encoding="utf-8")
    transformer = make_transformer().fit(data.generate(500, 1).matrix())
    graph: onnx.ModelProto = transformer_to_onnx(transformer, MANIFEST.features, WIDTH, "features")
    save(graph, folder / "preprocess.onnx")
    path = folder / "packed.mar"
    make_archive(
        NAME, net, EXAMPLE.net_file, folder / "model.yaml", folder / "preprocess.onnx", path
    )
    return path


def _content(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_archive_holds_what_the_handler_reads(archive: Path) -> None:
    content = _content(archive)
    models = {f"gateway/models/{file.name}" for file in (ROOT / "gateway/models").glob("*.py")}
    assert set(content) == models | {
        "MAR-INF/MANIFEST.json",
        "gateway/__init__.py",
        "gateway/errors.py",
        "handler.py",
        "handlers/__init__.py",
        "handlers/limits.py",
        "handlers/request_body.py",
        "model.yaml",
        "net.py",
        "preprocess.onnx",
        "weights.pth",
    }


def test_manifest_names_version_handler_and_network(archive: Path) -> None:
    manifest = json.loads(_content(archive)["MAR-INF/MANIFEST.json"])
    assert manifest["model"] == {
        "modelName": NAME,
        "serializedFile": "weights.pth",
        "handler": "handler.py",
        "modelFile": "net.py",
        "modelVersion": layout.VERSION,
    }


def test_packed_weights_are_those_of_the_network(archive: Path, net: WeightChangeNet) -> None:
    packed = load_net(archive, net)
    assert packed is not net
    assert not packed.training
    features = torch.rand(64, WIDTH, generator=torch.Generator().manual_seed(1)).numpy()
    assert (check.run_torch(packed, features) == check.run_torch(net, features)).all()


def test_two_archives_of_one_network_differ_in_the_time_only(
    archive: Path, net: WeightChangeNet, tmp_path: Path
) -> None:
    first, second = _content(archive), _content(_pack(net, tmp_path))
    manifests = [json.loads(content.pop("MAR-INF/MANIFEST.json")) for content in (first, second)]
    for manifest in manifests:
        del manifest["createdOn"]
    assert first == second
    assert manifests[0] == manifests[1]


@pytest.mark.parametrize("path", ["built", "committed"])
def test_archive_answers_by_the_code_packed_in_it(
    path: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    mar = COMMITTED if path == "committed" else request.getfixturevalue("archive")
    with zipfile.ZipFile(mar) as content:
        content.extractall(tmp_path / "model")
    # -I: neither the checkout nor the current folder is on the path.
    command = [sys.executable, "-I", "-c", _WORKER, str(tmp_path / "model"), json.dumps(TALK)]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    worker = json.loads(told.stdout)
    assert list(worker["answer"]) == ["weight_change"]
    assert len(worker["files"]) >= 7
    assert all(file.startswith(str(tmp_path / "model")) for file in worker["files"])


def test_committed_archive_holds_the_code_of_this_checkout() -> None:
    content = _content(COMMITTED)
    sources = {name: ROOT / name for name in content if name.startswith(("gateway/", "handlers/"))}
    sources["handler.py"] = ROOT / "handlers" / "handler.py"
    sources["net.py"] = EXAMPLE.net_file
    outdated = [name for name, file in sources.items() if content[name] != file.read_bytes()]
    assert outdated == [], "build again: python -m serving build weight-change --evaluate CSV"
