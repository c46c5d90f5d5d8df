"""What the overview says waits for a person, and where it leads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from pellucid.flow.online.review import Taken
from pellucid.flow.production.pending import Labels
from pellucid.serve.service import Readiness
from pellucid.web.vitals import Vitals
from pellucid.web.waiting import waiting

WELL = Vitals(
    at=datetime.now(UTC),
    name="pets",
    readiness=Readiness(ready=True, model="pets@1", ledger=0, reasons=()),
    beat=None,
    health=None,
    accuracy=None,
    labels=Labels("pets@3", 100, 0.9, 4, 0, 0, 0),
    refused=(),
    votes=(0, 0),
    drift=None,
    stream=None,
    troubles={},
)
NONE = Taken((), 0, 0, 0, 0)


def test_it_counts_what_review_would_show() -> None:
    assert waiting(WELL, None) == waiting(WELL, NONE) == []
    (part,) = waiting(WELL, replace(NONE, left=27, conflicts=3))
    assert (part.name, part.link) == ("27 doubtful labels", "/review")
    assert "on 3 of them people contradict each other" in part.words


def test_each_line_leads_to_where_its_pictures_are() -> None:
    labels = Labels("pets@3", 100, 0.9, 0, 3, 1, 0)
    conflicts, suspects = waiting(replace(WELL, labels=labels), NONE)
    assert (conflicts.name, conflicts.link) == ("3 conflicts", "/data?version=pets%403&show=findings")
    assert (suspects.name, suspects.link) == ("1 suspect", "/data?version=pets%403&status=suspect")
