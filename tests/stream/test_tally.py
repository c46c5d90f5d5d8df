from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pellucid.flow.production.simulate import Picture, Visit
from pellucid.stream.sender import Reply
from pellucid.stream.tally import COLUMNS, Outcome, Report, tally


def outcome(number: int, *, day: str = "monday", said: str = "cat", error: str = "", **reply: Any) -> Outcome:
    """A picture of a cat that came by."""
    picture = Picture(f"{number:064x}", f"{number}.png", "cat", str(number), bytes)
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=number)
    return Outcome(Visit(f"v-{number}", day, picture, "user-1", said), at, "", Reply(**reply, error=error))


def test_nothing_sent_is_nothing_found() -> None:
    found = tally([], planned=5, seconds=0.0)
    assert (found.planned, found.sent, found.answered, found.errors, found.rate) == (5, 0, 0, 0, 0.0)
    assert found.days == {}
    assert (found.wrong.heard, found.wrong.believed, found.predict_ms.p50) == (0, None, None)


def test_accuracy_is_against_the_truth_and_windows_are_in_the_order_of_sending() -> None:
    outcomes = [outcome(n, prediction="cat" if n >= 10 else "dog", said="dog") for n in range(25)]
    outcomes += [outcome(n, day="tuesday", prediction="cat") for n in range(25, 28)] + [outcome(28, day="tuesday")]
    found = tally(outcomes[::-1], planned=29, seconds=14.5)
    monday, tuesday = found.days["monday"], found.days["tuesday"]
    assert (monday.sent, monday.answered, monday.accuracy) == (25, 25, 0.6)
    assert [(w.first, w.last, w.accuracy) for w in monday.windows] == [(1, 10, 0.0), (11, 20, 1.0), (21, 25, 1.0)]
    assert (tuesday.sent, tuesday.answered, tuesday.accuracy) == (4, 3, 1.0)
    assert (found.sent, found.answered, found.rate) == (29, 28, 2.0)


def test_a_day_has_ten_windows_at_most() -> None:
    found = tally([outcome(n, prediction="cat") for n in range(995)], planned=995, seconds=1.0).days["monday"].windows
    assert [window.last - window.first + 1 for window in found] == [100] * 9 + [95]


def test_votes_are_believed_doubted_overruled_or_not_learnt() -> None:
    learnt = {"action": "learnt", "prediction": "cat"}
    wrong = [
        outcome(0, said="dog", label="dog", trust=0.9, **learnt),
        outcome(1, said="dog", label="dog", trust=0.5, **learnt),
        outcome(2, said="dog", label="dog", trust=0.4, **learnt),
        outcome(3, said="dog", label="cat", trust=0.9, **learnt),
        outcome(4, said="dog", label="dog", trust=0.9, action="undone"),
        outcome(5, said="dog", label="dog", trust=0.9, action="recorded"),
        outcome(6, said="dog", label=None, trust=0.1, action="recorded"),
        outcome(7, said="dog", label="dog", trust=0.1, **learnt),
        outcome(8, said="dog", prediction="cat", error="feedback: 500"),
    ]
    right = [outcome(9, label="cat", trust=0.8, **learnt)]
    found = tally([*wrong, *right], planned=10, seconds=1.0)
    votes = found.wrong
    assert (votes.heard, votes.believed, votes.doubted, votes.overruled, votes.not_learnt) == (
        8,
        0.25,
        0.25,
        0.125,
        0.375,
    )
    assert votes.trust == pytest.approx((0.9 + 0.5 + 0.4 + 0.1) / 4)
    assert (found.right.heard, found.right.believed, found.right.trust) == (1, 1.0, 0.8)
    assert (found.errors, found.reasons) == (1, {"feedback: 500": 1})


def test_waiting_times_are_of_what_was_answered() -> None:
    outcomes = [outcome(n, prediction="cat", predict_seconds=n / 1000, retries=n % 2) for n in range(101)]
    found = tally([*outcomes, outcome(101, error="gone")], planned=102, seconds=1.0)
    assert (found.predict_ms.p50, found.predict_ms.p99, found.feedback_ms.p50) == (50.0, 99.0, None)
    assert found.retries == 50


def test_the_report_has_a_line_for_every_outcome_at_once(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    with Report(path) as report:
        report.add(outcome(1, prediction="dog", confidence=0.5, predict_seconds=0.01234, error="a\nb"))
        [line] = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
        assert tuple(line) == COLUMNS
        assert line["time"] == "2026-03-01T00:00:01.000+00:00"
        shown = {name: line[name] for name in ("truth", "prediction", "said", "action", "predict_ms", "error")}
        assert shown == {
            "truth": "cat", "prediction": "dog", "said": "cat", "action": "", "predict_ms": "12.34", "error": "a b"
        }  # fmt: skip
        report.write_again([outcome(2), outcome(3)])
    assert [line["id"] for line in csv.DictReader(path.read_text(encoding="utf-8").splitlines())] == ["v-2", "v-3"]
