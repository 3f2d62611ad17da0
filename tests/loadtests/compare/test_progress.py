"""What is shown on a terminal, and in a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from loadtests.compare.progress import Bars, Silent


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    return Console(file=output, force_terminal=terminal, width=80), output


def test_a_log_gets_a_line_for_each_phase() -> None:
    shown, output = console(False)
    with Bars(shown) as bars:
        bars.advance()  # of nothing yet
        bars.phase("parity: 200 rows", 200)
        bars.advance(150)
        bars.phase("speed: [open] loop", 0)
        bars.say("a line that stays, " + "however long " * 10)
    assert output.getvalue().splitlines() == [
        "parity: 200 rows",
        "speed: [open] loop",
        "a line that stays, " + "however long " * 10,
    ]


def test_a_terminal_gets_a_bar_for_each_phase() -> None:
    shown, output = console(True)
    with Bars(shown) as bars:
        bars.phase("parity", 4)
        bars.advance()
        assert [(task.description, task.completed) for task in bars._progress.tasks] == [
            ("parity", 1)
        ]
        bars.phase("speed", 2)
        bars.say("said meanwhile")
        bars.advance(1)
        parity, speed = bars._progress.tasks
        assert (parity.completed, speed.completed) == (4, 1)
    assert all(task.finished for task in bars._progress.tasks)
    text = output.getvalue()
    assert text.count("said meanwhile") == 1
    assert "parity" in text
    assert "100 %" in text


def test_what_was_broken_off_is_not_shown_as_done() -> None:
    shown, output = console(True)
    bars = Bars(shown)

    def break_off() -> None:
        with bars:
            bars.phase("parity", 4)
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    (task,) = bars._progress.tasks
    assert task.completed == 0
    assert "100 %" not in output.getvalue()


def test_silence(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Silent()
    silent.phase("parity", 4)
    silent.advance()
    silent.say("words")
    assert capsys.readouterr() == ("", "")
