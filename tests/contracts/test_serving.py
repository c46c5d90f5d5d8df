"""The server's main loop on every database: answer, hear, follow, promote, forget, roll back, restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pellucid import Project

from ..conftest import until
from ..serve.conftest import Served

Picture = Callable[..., bytes]


@pytest.fixture
def settings(database_url: str) -> dict[str, Any]:
    return {"database_url": database_url, "threads": 2, "poll_seconds": 0.02}


@pytest.fixture
def pets(
    tmp_path: Path, settings: dict[str, Any], class_folders: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """A project on the database: 30 cats and 30 dogs, the champion pets@1 and another model, pets@2."""
    monkeypatch.setattr("pellucid.flow.training.job._try_to_complete", lambda workspace, model: False)
    Project.init(tmp_path / "project").close()
    with Project(tmp_path / "project", settings=settings, environ={}) as project:
        source = class_folders(tmp_path / "source", {"cat": 30, "dog": 30})
        project.ingest(source, "pets", test_fraction=0.2, trusted_fraction=0.3)
        project.train("pets", models="ridge", settings={"lambda": [0.1, 0.5]})
        project.promote("pets@1")
        yield project


def model_of(served: Served) -> str:
    return str(served.get("/health/ready")["model"])


def test_the_main_loop(pets: Project, settings: dict[str, Any], picture: Picture) -> None:
    with (
        Project(pets.workspace.root, settings=settings, environ={}) as same,
        Served(pets) as one,
        Served(same) as two,
    ):
        image = picture("dog", 500)
        asked = one.predict(image)
        said = {"prediction": asked["id"], "label": "dog", "voter": "eve", "id": "k1"}
        heard = one.post("/feedback", said)
        assert heard["action"] == "learnt"
        assert one.post("/feedback", said) == heard, "the same id counts once"
        after = until(lambda: got if (got := two.predict(image))["ledger"] == heard["ledger"] else None)
        assert after["probabilities"]["dog"] == pytest.approx(heard["after"], abs=1e-6)
        chain = two.get(f"/predictions/{asked['id']}")
        assert [vote["voter"] for vote in chain["votes"]] == ["anybody/eve"]

        pets.promote("pets@2", force=True)
        for served in (one, two):
            until(partial(lambda server: model_of(server) == "pets@2", served))
        carried = one.predict(image)
        assert carried["model"] == "pets@2"
        assert carried["ledger"] > 0, "what was said to the old champion is learnt by the new one"

        report = same.forget("pets", voter="anybody/eve")
        assert (report.votes, report.unlearnt) == (1, 1)
        for served in (one, two):
            until(partial(lambda server: server.get("/health/ready")["ledger"] == report.ledger, served))
        forgotten = one.predict(image)
        assert forgotten["probabilities"] != carried["probabilities"]

        pets.rollback("pets")
        for served in (one, two):
            until(partial(lambda server: model_of(server) == "pets@1", served))
        back = two.predict(image)
        assert back["probabilities"]["dog"] == pytest.approx(asked["probabilities"]["dog"], abs=1e-6), "eve is no more"
        learnt = two.post("/feedback", {"prediction": asked["id"], "label": "dog", "voter": "ann"})
        until(partial(lambda server: server.get("/health/ready")["ledger"] == learnt["ledger"], one))
        before = {name: dict(server.service.live.learnt()) for name, server in (("one", one), ("two", two))}
        assert before["one"] == before["two"]
        history = [line["version"] for line in one.get("/history")["history"]]
    with Project(pets.workspace.root, settings=settings, environ={}) as later, Served(later) as again:
        assert dict(again.service.live.learnt()) == before["one"], "a restart comes back to the same model"
        assert again.predict(image)["probabilities"] == pytest.approx(back["probabilities"], abs=0.5)
        assert sorted(history) == [1, 1, 2]
