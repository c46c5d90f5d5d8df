"""``prune`` as it is typed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.live import LiveModel
from pellucid.store.schema import live_vector, prediction

from .conftest import Cli


@pytest.fixture
def aged(cli: Cli, trained: Path, picture: Callable[..., bytes]) -> Path:
    """The champion has answered two images a hundred days ago, and one just now."""
    assert cli("models", "promote", "pets@1").code == 0
    with Project(trained) as project:
        live = LiveModel(project.workspace, project.model("pets"))
        found = answer(project.workspace, live.answerer, [Asked(picture("cat", 700 + n)) for n in range(3)])
        old = [item.sample for item in found[:2]]  # type: ignore[union-attr]
        then = datetime.now(UTC) - timedelta(days=100)
        with project.workspace.database.write() as connection:
            for table in (prediction, live_vector):
                connection.execute(sa.update(table).where(table.c.sample_id.in_(old)).values(at=then))
    return trained


@pytest.mark.usefixtures("aged")
def test_old_answers_go_once_and_the_young_one_stays(cli: Cli) -> None:
    foretold = cli("prune", "--days", "30", "-n")
    assert foretold.out.startswith("would forget 2 answers, ")
    done = cli("prune", "--days", "30", "--json").json
    assert (done["answers"], done["vectors"], done["images"], done["dry_run"]) == (2, 2, 2, False)
    assert cli("prune", "--days", "30").out == ("forgot 0 answers, 0 shadow answers, 0 vectors, 0 images, 0 receipts\n")
    assert cli("prune", "--days", "0.0000001", "-n", "--json").json["answers"] == 1


@pytest.mark.usefixtures("aged")
def test_the_setting_says_how_long_where_nobody_does(cli: Cli) -> None:
    refused = cli("prune")
    assert (refused.code, "give more than 0: --days, or keep_days in pellucid.toml" in refused.error) == (2, True)
    assert cli("-c", "keep_days=30", "prune", "-n", "--json").json["answers"] == 2
    assert cli("prune", "--days", "-1").code == 2
