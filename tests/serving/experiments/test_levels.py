"""Optimization levels on the example's graphs and on small ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from gateway.errors import ModelError
from serving.experiments import levels, sessions
from serving.experiments.errors import ExperimentError, NotMeasured
from serving.experiments.plan import Plan
from serving.experiments.sessions import largest_difference, make_session, operators
from serving.experiments.subject import find_subjects
from tests.conftest import REPOSITORY, linear_graph, mixed_graph, save

PLAN = Plan(batches=[1, 8], rounds=2, slice_s=0.002)


def _silent(words: str) -> None:
    assert words


def test_the_examples_graphs_get_fewer_nodes_and_answer_the_same(tmp_path: Path) -> None:
    subjects = find_subjects(REPOSITORY, "weight-change", None)
    assert [subject.path.name for subject in subjects] == ["pytorch.onnx", "tensorflow.onnx"]
    found = levels.run(PLAN, subjects, _silent)
    for subject, graph in zip(subjects, found.graphs, strict=True):
        assert [level.name for level in graph.levels] == ["original", *levels.level_names()]
        nodes = [level.nodes for level in graph.levels]
        assert nodes == sorted(nodes, reverse=True)
        assert nodes[-1] < nodes[0] == len(onnx.load(str(subject.path)).graph.node)
        for level in graph.levels:
            assert level.nodes == sum(level.operators.values())
            assert 0 <= level.difference <= graph.tolerance
            assert [timing.batch for timing in level.calls] == [1, 8]
            assert all(0 < t.call_us.low <= t.call_us.median for t in level.calls)
            assert level.create_ms.low > 0
            assert level.size > 1_000
        assert graph.levels[0].size == subject.path.stat().st_size
        assert graph.levels[1].difference == 0


def test_a_level_has_the_nodes_onnx_counts_in_its_file(tmp_path: Path) -> None:
    (subject, _) = find_subjects(REPOSITORY, None, None)
    found = levels.run(PLAN, [subject], _silent).graphs[0]
    for level in found.levels[1:]:
        path = tmp_path / f"{level.name}.onnx"
        make_session(subject.path, level=levels.level_names()[level.name], write_to=path)
        assert level.nodes == len(onnx.load(str(path)).graph.node)


def test_nodes_of_subgraphs_count(tmp_path: Path) -> None:
    inner = [
        onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", ["x"], [name])],
            name,
            [],
            [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)],
        )
        for name in ("then", "else")
    ]
    node = onnx.helper.make_node("If", ["which"], ["y"], then_branch=inner[0], else_branch=inner[1])
    graph = onnx.helper.make_graph([node], "branches", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "if.onnx")
    assert operators(tmp_path / "if.onnx") == {"Identity": 2, "If": 1}


def test_any_graph_will_do_and_one_of_fixed_batch_is_run_at_it(tmp_path: Path) -> None:
    path = linear_graph(tmp_path / "fixed.onnx", [1.0, 2.0], batch=4)
    graph = levels.run(PLAN, find_subjects(REPOSITORY, None, path), _silent).graphs[0]
    assert (graph.graph, graph.rows) == ("fixed.onnx", 4)
    assert {timing.batch for level in graph.levels for timing in level.calls} == {4}
    mixed = find_subjects(REPOSITORY, None, mixed_graph(tmp_path / "mixed.onnx"))
    graph = levels.run(PLAN, mixed, _silent).graphs[0]
    assert graph.rows == levels.ROWS
    assert {level.difference for level in graph.levels} == {0}


def test_a_graph_without_a_batch_is_run_an_instance_at_a_time(tmp_path: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["a", "b"], ["y"])],
        "product",
        [value("a", onnx.TensorProto.FLOAT, [2, 3]), value("b", onnx.TensorProto.FLOAT, [3, 4])],
        [value("y", onnx.TensorProto.FLOAT, [2, 4])],
    )
    subjects = find_subjects(REPOSITORY, None, save(graph, tmp_path / "product.onnx"))
    found = levels.run(PLAN, subjects, _silent).graphs[0]
    assert found.rows == 1
    assert {timing.batch for level in found.levels for timing in level.calls} == {1}


def test_a_level_that_answers_something_else_is_shown_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = linear_graph(tmp_path / "right.onnx", [1.0, 2.0])
    wrong = linear_graph(tmp_path / "wrong.onnx", [1.0, 2.5])
    make = sessions.make_session

    def planted(
        path: Path, threads: int, level: ort.GraphOptimizationLevel, write_to: Path | None = None
    ) -> ort.InferenceSession:
        broken = write_to is not None and write_to.stem == "extended"
        return make(wrong if broken else path, threads, level, write_to)

    monkeypatch.setattr(levels, "make_session", planted)
    found = levels.run(PLAN, find_subjects(REPOSITORY, None, right), _silent).graphs[0]
    outside = [level.name for level in found.levels if level.difference > found.tolerance]
    assert outside == ["extended"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1.0, np.nan, np.inf], [1.0, np.nan, np.inf], 0.0),
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([1.0], [np.nan], np.inf),
        ([-np.inf], [np.inf], np.inf),
        ([1], [4], 3.0),
        (["a"], ["a"], 0.0),
        (["a"], ["b"], np.inf),
        ([1.0], [1.0, 2.0], np.inf),
        ([], [], 0.0),
    ],
)
def test_largest_difference(one: list[object], other: list[object], expected: float) -> None:
    dtype = object if isinstance((one or [0])[0], str) else None
    arrays = [np.array(one, dtype)], [np.array(other, dtype)]
    assert largest_difference(*arrays) == expected


def test_what_cannot_be_had_is_said(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"absent\.onnx: there is no such \.onnx file"):
        find_subjects(REPOSITORY, None, tmp_path / "absent.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        find_subjects(REPOSITORY, None, broken)
    with pytest.raises(NotMeasured, match=r"^broken\.onnx: ") as caught:
        make_session(broken)
    assert str(tmp_path) not in str(caught.value)
