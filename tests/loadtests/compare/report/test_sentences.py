"""Each number of a sentence leads to the figure that it is."""

from __future__ import annotations

from loadtests.compare.report.sentences import linked
from loadtests.compare.results import Figure, Sentence

FIGURES = {
    one.id: one
    for one in (
        Figure(id="ratio", what="r", value=7.0812, low=6.6021, high=7.7469),
        Figure(id="loss", what="l", value=-0.352, unit="ms"),
        Figure(id="share", what="s", value=0.0123),
        Figure(id="rate", what="q", value=28293.2),
        Figure(id="tiny", what="t", value=3.81e-6),
    )
}


def _links(text: str, *figures: str) -> dict[str, str]:
    found = linked(Sentence(text, list(figures)), FIGURES)
    assert "".join(piece.text for piece in found.pieces) == text
    return {piece.text: piece.figure for piece in found.pieces if piece.figure}


def test_a_value_and_the_bounds_of_its_interval() -> None:
    assert _links("It answered 7.1 times (6.6–7.7) as many.", "ratio") == {
        "7.1": "ratio",
        "6.6": "ratio",
        "7.7": "ratio",
    }


def test_thousands_powers_percent_and_what_is_less() -> None:
    text = "28,293 requests/s, 1.2 % errors, 3.8e-06 lb, 0.35 ms less."
    assert _links(text, "rate", "share", "tiny", "loss") == {
        "28,293": "rate",
        "1.2": "share",
        "3.8e-06": "tiny",
        "0.35": "loss",
    }


def test_other_numbers_lead_nowhere() -> None:
    """The number of clients is a load, p99 a name; 7.2 is no rounding of 7.0812."""
    assert _links("p99 with 7 clients is 7.2 times.", "ratio") == {}


def test_only_figures_the_sentence_rests_on_are_led_to() -> None:
    assert _links("It answered 7.1 times.", "share") == {}


def test_figures_that_no_number_names_are_kept() -> None:
    assert linked(Sentence("It is faster.", ["ratio", "gone"]), FIGURES).others == ["ratio"]
