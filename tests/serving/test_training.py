"""Both trainings, on fewer rows than the build takes: they learn, answer in lb and repeat."""

from __future__ import annotations

import importlib.util
import inspect

import numpy as np
import pytest
import torch

from serving import metrics
from serving.dataset import Dataset
from serving.example import Tensor
from serving.export import check
from serving.weight_change import data, keras_training, torch_training
from serving.weight_change.definition import CATEGORIES, NUMBERS
from serving.weight_change.example import EXAMPLE
from serving.weight_change.net import WeightChangeNet
from serving.weight_change.transformer import WIDTH, make_transformer


@pytest.fixture(scope="module")
def training() -> Dataset:
    return data.generate(20_000, seed=21)


@pytest.fixture(scope="module")
def held_out() -> Dataset:
    return data.generate(2_000, seed=22)


@pytest.fixture(scope="module")
def tensors(training: Dataset, held_out: Dataset) -> tuple[Tensor, Tensor]:
    transformer = make_transformer()
    first = transformer.fit_transform(training.matrix()).astype(np.float32)
    return first, transformer.transform(held_out.matrix()).astype(np.float32)


def test_transformer_scales_numbers_and_spreads_categories(training: Dataset) -> None:
    tensor = make_transformer().fit_transform(training.matrix())
    assert tensor.shape == (len(training), WIDTH)
    np.testing.assert_array_equal(tensor[:, : len(NUMBERS)].min(axis=0), 0.0)
    np.testing.assert_allclose(tensor[:, : len(NUMBERS)].max(axis=0), 1.0, atol=1e-12)
    column = len(NUMBERS)
    for name, categories in CATEGORIES.items():
        for category in categories:
            np.testing.assert_array_equal(tensor[:, column], training.columns[name] == category)
            column += 1
    assert column == WIDTH


def test_transformer_gives_zeros_for_an_unknown_category(training: Dataset) -> None:
    transformer = make_transformer().fit(training.matrix())
    row = training.matrix()[:1]
    row[0, 1] = "X"
    assert transformer.transform(row)[0, 7:9].tolist() == [0.0, 0.0]


def test_pytorch_training_comes_near_the_noise_ceiling_and_repeats(
    training: Dataset, held_out: Dataset, tensors: tuple[Tensor, Tensor]
) -> None:
    parts: list[float] = []
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    net = torch_training.train(tensors[0], training.target, 5, parts.append)
    again = torch_training.train(tensors[0], training.target, 5, lambda part: None)
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)
    answer = check.run_torch(net, tensors[1])
    assert answer.shape == (len(held_out), 1)
    assert answer.dtype == np.float32
    np.testing.assert_array_equal(answer, check.run_torch(again, tensors[1]))
    _assert_good(held_out, answer)


def test_tensorflow_training_comes_near_the_noise_ceiling(
    training: Dataset, held_out: Dataset, tensors: tuple[Tensor, Tensor]
) -> None:
    parts: list[float] = []
    net = keras_training.train(tensors[0], training.target, 5, parts.append)
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    answer = check.run_keras(net, tensors[1])
    assert answer.shape == (len(held_out), 1)
    assert answer.dtype == np.float32
    _assert_good(held_out, answer)


def test_both_networks_have_the_same_shape() -> None:
    net = WeightChangeNet()
    theirs = [weight.shape for weight in keras_training.make_net().get_weights()]
    ours = [tuple(reversed(weight.shape)) for weight in net.state_dict().values()]
    assert ours == theirs == [(17, 15), (15,), (15, 7), (7,), (7, 1), (1,)]


def test_model_file_of_the_archive_defines_one_class() -> None:
    spec = importlib.util.spec_from_file_location("net", EXAMPLE.net_file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    classes = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == "net"]
    assert [c.__name__ for c in classes] == ["WeightChangeNet"]


def _assert_good(held_out: Dataset, answer: Tensor) -> None:
    ceiling = metrics.r2(held_out.target, data.expected_change(held_out))
    reached = metrics.r2(held_out.target, answer[:, 0].astype(np.float64))
    assert ceiling - 0.02 < reached < ceiling + 0.01
