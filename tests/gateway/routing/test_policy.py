"""The routing policy: what is accepted, what is refused and how, and the canary's draw."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import pytest
import yaml

from gateway.errors import ConfigError
from gateway.models.repository import Repository
from gateway.routing import policy_document
from gateway.routing.offers import offers_of
from gateway.routing.policy import Canary, ModelPolicy, Route, Shadow, parse
from tests.conftest import REPOSITORY

OFFERS = {
    "weight-change": {
        "onnx": ["pytorch", "tensorflow"],
        "torchserve": ["pytorch"],
        "tfserving": ["tensorflow"],
    },
    "broken": {},
}

FULL = """
models:
  weight-change:
    default: torchserve
    fallback: [onnx, tfserving]
    canary:
      weights: {torchserve: 99.5, onnx/pytorch: 0.5}
      sticky: X-User-Id
    shadow: {candidate: onnx/tensorflow, share: 0.1}
"""

TORCHSERVE, ONNX, TFSERVING = Route("torchserve"), Route("onnx"), Route("tfserving")
KEYS = [f"user-{number}" for number in range(20_000)]


def entry(text: str) -> str:
    return f"models:\n  weight-change: {text}\n"


def test_every_key_is_read() -> None:
    policy = parse(FULL, OFFERS)
    weights = {TORCHSERVE: 99.5, Route("onnx", "pytorch"): 0.5}
    assert policy.of("weight-change") == ModelPolicy(
        default=TORCHSERVE,
        fallback=(ONNX, TFSERVING),
        canary=Canary("weight-change", weights, "X-User-Id"),
        shadow=Shadow(Route("onnx", "tensorflow"), 0.1),
    )
    written = {"weight-change": policy.of("weight-change").as_written()}
    assert {"models": written} == yaml.safe_load(FULL)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "models:\n", entry(""), entry("{}")])
def test_every_key_may_be_left_out(text: str) -> None:
    policy = parse(text, OFFERS).of("weight-change")
    assert policy == ModelPolicy()
    assert policy.first("any") is None
    assert not policy.goes_on(None)
    assert policy.goes_on("auto")


def test_a_default_of_auto_lets_requests_that_name_none_go_on() -> None:
    policy = parse(entry("{default: auto, fallback: [onnx]}"), OFFERS).of("weight-change")
    assert policy.first("any") is None
    assert policy.goes_on(None)
    assert not policy.goes_on("onnx")


def test_the_canary_goes_before_the_default() -> None:
    policy = parse(entry("{default: onnx, canary: {weights: {torchserve: 100}}}"), OFFERS)
    assert policy.of("weight-change").first("any") == TORCHSERVE
    assert parse(entry("{default: onnx}"), OFFERS).of("weight-change").first("any") == ONNX


def test_a_model_that_cannot_be_served_now_keeps_its_policy() -> None:
    assert parse("models: {broken: {default: onnx}}", OFFERS).of("broken").first("any") == ONNX


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models: {other: {}}", ["no model 'other'", "weight-change, broken"]),
        (entry("{default: onnix}"), ["weight-change: default", "onnix", "onnx, torch", "auto"]),
        (entry("{default: torchserve/jax}"), ["default: backend torchserve", "jax", "pytorch"]),
        (entry("{default: onnx/}"), ["no lineage ''"]),
        (entry("{fallback: [onnx, auto]}"), ["fallback: no backend 'auto'"]),
        (entry("{fallback: [onnx, onnx]}"), ["fallback: onnx is given twice"]),
        (entry("{fallback: onnx}"), ["fallback", "Expected `array", "fallback: [ROUTE, …]"]),
        (entry("{canary: {weights: {onnx: 90, torchserve: 5}}}"), ["they sum to 95", "100"]),
        (entry("{canary: {weights: {onnx: 110, torchserve: -10}}}"), ["torchserve has -10"]),
        (entry("{canary: {weights: {onnx: .nan}}}"), ["onnx has nan"]),
        (entry("{canary: {weights: {onnx: .inf}}}"), ["they sum to inf"]),
        (entry("{canary: {weights: {}}}"), ["they sum to 0"]),
        (entry("{canary: {weights: {onnx: all}}}"), ["$.canary.weights", "Expected `float`"]),
        (entry("{canary: {sticky: X-User}}"), ["missing required field `weights`"]),
        (entry("{canary: {weights: {onnx: 100}, sticky: 'X User'}}"), ["canary.sticky", "X User"]),
        (entry("{shadow: {candidate: onnx, share: 0}}"), ["shadow.share: is 0.0", "above 0"]),
        (entry("{shadow: {candidate: onnx, share: 1.01}}"), ["shadow.share: is 1.01"]),
        (entry("{shadow: {candidate: jax}}"), ["shadow.candidate: no backend 'jax'"]),
        (entry("{shadow: {share: 0.5}}"), ["missing required field `candidate`"]),
        (entry("{cannary: {}}"), ["unknown field `cannary`", "canary: {weights"]),
        (entry("3"), ["weight-change", "Expected `object`"]),
        ("model: {}", ["model", "allowed: models"]),
        ("- models", ["allowed: models"]),
        ("models: 3", ["entries by model name"]),
        ("models: {1: {}}", ["entries by model name"]),
        ("models: [", ["cannot be read as YAML: line 2"]),
        (entry("{default: onnx, default: torchserve}"), ["'default' is given twice", "line 2"]),
        ("models: {a: &a {}, b: *a}", ["line 1", "alias"]),
        (entry("{<<: {default: onnx}}"), ["merge"]),
        ("models: !!python/object:os.system {}", ["could not determine a constructor"]),
        ("[" * 200_000, ["nested too deep"]),
        ("models: 1" + ":59" * 50_000, ["a value is too long"]),
        ("models: " + "9" * 900 + "e999", ["entries by model name"]),
        ("models: 2020-99-99", ["cannot be read as YAML"]),
        ("models: \x00", ["cannot be read as YAML"]),
        ("models: \udc80", ["cannot be read as YAML"]),
        ("#" * 300_000, ["is too long", "262144"]),
    ],
)
def test_a_bad_policy_is_refused_with_its_reason(text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, OFFERS)
    for word in words:
        assert word in caught.value.detail
    assert "\n" not in caught.value.detail


def test_the_offers_are_those_of_the_manifests() -> None:
    repository = Repository.scan(REPOSITORY)
    repository.failures["half"] = "there is no version"
    offers = offers_of(repository)
    assert offers["weight-change"] == OFFERS["weight-change"]
    assert offers["half"] == {}


@pytest.mark.parametrize("model", ["weight-change", "mixed", "other"])
@pytest.mark.parametrize("percent", [10.0, 1.0, 50.0])
def test_draws_keep_to_the_weights(model: str, percent: float) -> None:
    canary = Canary(model, {TORCHSERVE: 100 - percent, ONNX: percent})
    drawn = sum(canary.draw(key) == ONNX for key in KEYS)
    share = percent / 100
    spread = math.sqrt(len(KEYS) * share * (1 - share))
    # 3.2905 standard deviations hold 99.9 % of a normal distribution.
    assert abs(drawn - len(KEYS) * share) < 3.2905 * spread


def test_a_key_is_drawn_alike_in_every_process_and_in_any_order() -> None:
    keys = [*KEYS[:500], "", "ä", "\udcff"]
    here = [str(Canary("m", {ONNX: 40, TORCHSERVE: 60}).draw(key)) for key in keys]
    assert here == [str(Canary("m", {TORCHSERVE: 60, ONNX: 40}).draw(key)) for key in keys]
    program = (
        "import json, sys; from gateway.routing.policy import *;"
        "canary = Canary('m', {Route('onnx'): 40, Route('torchserve'): 60});"
        "print(json.dumps([str(canary.draw(key)) for key in json.load(sys.stdin)]))"
    )
    there = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(keys),
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    assert json.loads(there) == here


def test_models_divide_their_users_independently() -> None:
    a, b = (Canary(name, {TORCHSERVE: 50, ONNX: 50}) for name in ("a", "b"))
    alike = sum(a.draw(key) == b.draw(key) for key in KEYS)
    assert abs(alike - len(KEYS) / 2) < 3.2905 * math.sqrt(len(KEYS) / 4)


def test_a_shift_moves_keys_to_the_route_that_grew_only() -> None:
    document: policy_document.Document = {"models": {}}
    weights = {"torchserve": 70, "tfserving": 25, "onnx": 5}
    policy_document.set_value(document, "weight-change", "canary", {"weights": weights})
    keys = KEYS[:4_000]
    before: list[Route] | None = None
    for percent in (5, 6, 20, 50, 99, 100):
        policy_document.shift(document, "weight-change", "onnx", percent)
        policy = parse(policy_document.write(document), OFFERS).of("weight-change")
        drawn = [policy.first(key) or ONNX for key in keys]
        if before is not None:
            moved = {now for was, now in zip(before, drawn, strict=True) if was != now}
            assert moved == {ONNX}
        before = drawn
    assert before == [ONNX] * len(keys)


def test_a_route_without_weight_gets_nothing() -> None:
    canary = Canary("m", {TORCHSERVE: 0, ONNX: 60, TFSERVING: 40})
    assert {canary.draw(key) for key in KEYS[:1_000]} == {ONNX, TFSERVING}
