"""The page on manifests names all that a manifest can say."""

from __future__ import annotations

import re

import msgspec
import pytest

from gateway.backends.onnx import OnnxOptions
from gateway.backends.tfserving_model import TFServingOptions
from gateway.backends.torchserve import TorchServeOptions
from gateway.models.manifest import Batching, Feature, Manifest, Output, Parity
from tests.conftest import ROOT
from tests.docs.pages import blocks, spans

PAGE = ROOT / "docs" / "adding-a-model.md"


@pytest.mark.parametrize(
    "part",
    [
        *(Manifest, Feature, Output, Parity, Batching),
        *(OnnxOptions, TorchServeOptions, TFServingOptions),
    ],
)
def test_every_key_is_named(part: type[msgspec.Struct]) -> None:
    named = set(re.findall(r"\w+", " ".join([*spans(PAGE), *blocks(PAGE, "yaml")])))
    keys = {field.encode_name for field in msgspec.structs.fields(part)}
    assert keys
    assert not keys - named
