from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from loadtests.compare.advice import advise
from loadtests.compare.results import Advice, Figure, Point, Results, Server, Subject, Suspect
from loadtests.compare.words import number, percent
from tests.loadtests.compare.factories import (
    DIRECT,
    ONNX,
    TORCHSERVE,
    Noise,
    one_round,
    parity,
    results,
    server,
    usage,
)

SUBJECTS = (ONNX, TORCHSERVE, DIRECT)
STAND_IN = "a stand-in for TensorFlow Serving"
#: Numbers of the load, which belong to no figure, and names that hold digits.
LOAD_WORDS = re.compile(
    r"with [\d,]+ (clients|rows in each request)|at [\d,.]+ requests per second"
)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?")


def _points(faster: float = 1, added_ms: float = 0, *, noise: float = 0.03) -> list[Point]:
    factors = {ONNX.name: faster}
    return Noise(7, noise).points(SUBJECTS, 5, factors, {ONNX.name: added_ms})


def _servers(memory: float = 900, first: float = 9.0, install: float = 3400) -> list[Server]:
    return [
        server("gateway", 100, _spread("cost.gateway.first", 0.9), 180),
        server("torchserve", memory, _spread("cost.torchserve.first", first), install),
    ]


def _spread(name: str, value: float) -> Figure:
    return Figure(id=name, what=name, value=value, unit="s", low=value * 0.95, high=value * 1.06)


def _one(document: Results) -> Advice:
    (advice,) = advise(document)
    return advice


def _check(advice: Advice, document: Results) -> None:
    """Every number of a sentence is one of a figure it names, none of which is a stand-in's."""
    figures = document.figures()
    for sentence in advice.sentences:
        used = [figures[name] for name in sentence.figures]
        assert used
        assert all(figure.stand_in is None and figure.value is not None for figure in used)
        allowed = {
            words(value)
            for figure in used
            for value in (figure.value, figure.low, figure.high)
            if value is not None
            for words in (number, percent)
        }
        for found in NUMBER.findall(LOAD_WORDS.sub("", sentence.text)):
            assert found in allowed, f"{found} in {sentence.text}"


def _with_errors(
    points: Sequence[Point], subject: Subject, errors: Mapping[str, int], *, shape: str = "closed"
) -> list[Point]:
    """Errors in the subject's first round of each load of this shape."""
    return [
        msgspec.structs.replace(
            one,
            rounds=[
                msgspec.structs.replace(
                    one.rounds[0], errors=dict(errors), sent=one.rounds[0].answered + 1
                ),
                *one.rounds[1:],
            ],
        )
        if one.subject == subject.name and one.shape == shape
        else one
        for one in points
    ]


def test_a_faster_candidate_that_answers_alike_is_moved_to() -> None:
    used = [usage(ONNX, 0.04, 0.05, 0.06), usage(DIRECT, 0.5, 0.6, 0.7)]
    document = results(_points(7), servers=_servers(), used=used)
    advice = _one(document)
    assert (advice.action, advice.silent_because) == ("move", [])
    assert (advice.lineage, advice.candidate, advice.reference) == (
        "pytorch",
        "onnx/pytorch",
        "torchserve/pytorch",
    )
    _check(advice, document)
    texts = [sentence.text for sentence in advice.sentences]
    assert texts[0] == (
        "ONNX Runtime answers as TorchServe does: 100 (99.8–100) % of the rows lie within the "
        "tolerance, the largest difference is 3.8e-06 lb."
    )
    assert re.fullmatch(
        r"ONNX Runtime through the gateway answered [67]\.\d \([67]\.\d–[78]\.\d\) times as many "
        r"requests per second as TorchServe asked directly, with 64 clients: [\d,]+ against "
        r"[\d,]+\.",
        texts[1],
    )
    # The same, asked through the gateway, comes last.
    assert "as TorchServe through the gateway, with 64 clients" in texts[-1]
    starts = Counter(text.split()[0] for text in texts)
    assert starts == {
        "ONNX": 4,
        "One": 2,
        "Half": 2,
        "After": 1,
        "From": 1,
        "Installed,": 1,
        "A": 1,
    }
    assert (
        "A thousand predictions took 0.050 (0.040–0.060) seconds of processor time with ONNX"
        in (" ".join(texts))
    )
    assert "After the load the gateway held 100 MB of memory, TorchServe 900 MB." in texts


def test_without_a_direct_subject_the_gateway_is_what_clients_ask() -> None:
    points = [one for one in _points(7) if one.subject != DIRECT.name]
    for subjects in (SUBJECTS, (ONNX, TORCHSERVE)):
        document = results(points, subjects=subjects)
        advice = _one(document)
        assert advice.action == "move"
        _check(advice, document)
        texts = " ".join(sentence.text for sentence in advice.sentences)
        assert "directly" not in texts
        assert texts.count("64 clients") == 2


def test_a_candidate_slowed_by_five_ms_is_not_moved_to() -> None:
    document = results(_points(added_ms=5, noise=0.1))
    advice = _one(document)
    assert advice.action == "stay"
    _check(advice, document)
    assert any(text.text.startswith("Half of the answers took") for text in advice.sentences)


def test_answers_that_differ_are_a_reason_to_stay_however_fast() -> None:
    suspects = [
        Suspect(feature="x1", share=0.1, mismatch=0.1, named=False),
        Suspect(feature="calories", share=0.9, mismatch=1, named=True, words="…"),
        Suspect(feature="bmr", share=0.9, mismatch=1, named=True, words="…"),
    ]
    unlike = parity(
        verdict="not equivalent", within=0.123, largest=5.21, suspects=suspects, refused=3
    )
    document = results(_points(7), [unlike])
    advice = _one(document)
    assert advice.action == "stay"
    _check(advice, document)
    assert [sentence.text for sentence in advice.sentences] == [
        "ONNX Runtime does not answer as TorchServe does: 12.3 (12.3–100) % of the rows lie within"
        " the tolerance and the largest difference is 5.2 lb; some rows were refused by one of the "
        "two only; the difference comes from calories and bmr."
    ]
    nothing = msgspec.structs.replace(
        unlike,
        within=msgspec.structs.replace(unlike.within, value=None),
        largest=msgspec.structs.replace(unlike.largest, stand_in=STAND_IN),
    )
    advice = _one(results(_points(7), [nothing]))
    assert (advice.action, advice.sentences) == ("none", [])
    assert advice.silent_because == ["the answers differ, but no figure shows by how much"]


def test_undecided_parity_decides_nothing() -> None:
    advice = _one(results(_points(7), [parity(verdict="undecided")]))
    assert (advice.action, advice.sentences) == ("none", [])
    assert "2,000 rows were looked at" in advice.silent_because[0]


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_stand_in_supports_nothing(which: int) -> None:
    subjects = list(SUBJECTS)
    subjects[which] = msgspec.structs.replace(subjects[which], stand_in=STAND_IN)
    advice = _one(results(_points(7), [parity(subjects[0], subjects[1])], subjects))
    assert (advice.action, advice.sentences) == ("none", [])
    title = "ONNX Runtime" if which == 0 else "TorchServe"
    assert advice.silent_because == [f"{title} was not measured: a stand-in answered in its place"]


def test_figures_with_a_stand_in_support_nothing() -> None:
    document = results(_points(7))
    marked = [
        msgspec.structs.replace(
            contrast, ratio=msgspec.structs.replace(contrast.ratio, stand_in=STAND_IN)
        )
        for contrast in document.contrasts
    ]
    document = msgspec.structs.replace(document, contrasts=marked)
    assert _one(document).action == "none"


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_a_subject_that_fails_even_once_is_not_judged(subject: Subject) -> None:
    points = _with_errors(_points(7), subject, {"500": 1})
    advice = _one(results(points, servers=_servers()))
    assert (advice.action, advice.sentences) == ("none", [])
    (why,) = advice.silent_because
    assert subject.backend.replace("onnx", "ONNX Runtime").lower() in why.lower()
    assert " failed 0." in why
    assert why.endswith("(500)")


def test_overload_is_no_failure_and_its_latencies_are_not_compared() -> None:
    # 1,000 requests/s are more than a seventh of what the candidate, seven times as fast, can do.
    overloaded = {"503 overloaded": 400, "no answer in time": 3}
    points = [
        _with_errors([one], DIRECT, overloaded, shape="open")[0] if one.rate == 1000 else one
        for one in Noise(7, 0.03).points(SUBJECTS, 5, {DIRECT.name: 0.1, ONNX.name: 0.7})
    ]
    document = results(points)
    advice = _one(document)
    assert advice.action == "move"
    _check(advice, document)
    (overload,) = advice.silent_because
    assert overload.startswith("at 1,000 requests per second TorchServe asked directly was asked")
    assert "503 overloaded, no answer in time" in overload
    assert "at 1,000 requests" not in " ".join(one.text for one in advice.sentences)
    assert "at 500 requests" in " ".join(one.text for one in advice.sentences)


def test_benefits_and_losses_are_said_but_not_weighed() -> None:
    document = results(_points(7), servers=_servers(memory=50, install=3400))
    advice = _one(document)
    assert advice.action == "none"
    assert advice.silent_because == [
        "it is a trade-off: ONNX Runtime is better in some, worse in others"
    ]
    _check(advice, document)
    against = [one.text for one in advice.sentences if one.text.startswith("Against it: ")]
    assert against == [
        "Against it: After the load the gateway held 100 MB of memory, TorchServe 50 MB."
    ]
    assert advice.sentences[0].text.startswith("In its favour: ONNX Runtime through the gateway")


def test_cost_alone_says_nothing_where_speed_was_not_measured() -> None:
    advice = _one(results([], servers=_servers()))
    assert (advice.action, advice.sentences) == ("none", [])
    assert "speed was not measured" in advice.silent_because[0]
    few = Noise(7, 0.03).points(SUBJECTS, 2, {ONNX.name: 7})
    assert _one(results(few, servers=_servers())).action == "none"


def test_a_limited_load_generator_makes_it_at_least() -> None:
    def limit(points: Sequence[Point], *subjects: Subject) -> list[Point]:
        names = [subject.name for subject in subjects]
        return [msgspec.structs.replace(one, driver_limited=one.subject in names) for one in points]

    document = results(limit(_points(3), ONNX))
    advice = _one(document)
    _check(advice, document)
    assert advice.action == "move"
    speeds = [one.text for one in advice.sentences if " times as " in one.text]
    assert all("at least " in text or "at most " in text for text in speeds)
    assert "answered at least" in speeds[0]
    # The original could have answered more: nothing is known.
    assert _one(results(limit(_points(3), TORCHSERVE, DIRECT))).action == "none"
    # Slower, but perhaps only because of the load generator.
    assert _one(results(limit(_points(1 / 3), ONNX))).action == "none"
    assert _one(results(limit(_points(1 / 3), TORCHSERVE, DIRECT))).action == "stay"


def test_less_than_ten_percent_does_not_matter() -> None:
    advice = _one(results(_points(1.07, noise=0.001), servers=_servers(105, 0.95, 190)))
    assert (advice.action, advice.sentences) == ("none", [])
    assert advice.silent_because == ["no difference beyond 10 % was decided"]


def test_a_round_without_an_answer_is_a_failure_and_decides_nothing() -> None:
    points = [
        msgspec.structs.replace(
            one, rounds=[*one.rounds[:-1], one_round(0, None, None, {"cannot connect": 4})]
        )
        if one.subject == DIRECT.name
        else one
        for one in _points(7)
    ]
    assert "cannot connect" in _one(results(points)).silent_because[0]


def test_lineages_are_judged_apart_and_in_order() -> None:
    tensorflow = [
        msgspec.structs.replace(
            one, name=one.name.replace("pytorch", "tensorflow"), lineage="tensorflow"
        )
        for one in SUBJECTS
    ]
    points = _points(7)
    slower = Noise(8, 0.03).points(tensorflow, 5, {tensorflow[0].name: 0.3})
    document = results(
        [*points, *slower],
        [parity(tensorflow[0], tensorflow[1]), parity()],
        [*SUBJECTS, *tensorflow],
    )
    assert [(one.lineage, one.action) for one in advise(document)] == [
        ("tensorflow", "stay"),
        ("pytorch", "move"),
    ]
    assert advise(results([], [])) == []


def test_it_reads_what_was_written() -> None:
    document = results(_points(7), servers=_servers())
    read = msgspec.json.decode(msgspec.json.encode(document), type=Results)
    assert advise(read) == advise(document)
