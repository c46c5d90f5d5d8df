"""Images that are gone: nobody's vote is lost over them, nothing stops, and all is made good once they are back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from pellucid.errors import NotFoundError, StorageError
from pellucid.flow.data.embed import embed_samples
from pellucid.flow.online.carry import carry_over
from pellucid.flow.online.forget import forget
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.reaudit import reaudit
from pellucid.flow.online.review import make_queue
from pellucid.store.schema import sample as sample_table
from pellucid.store.votes import find_votes
from pellucid.types import Role, Split, Status

from ..conftest import Pets, refit

pytestmark = pytest.mark.usefixtures("no_reports")

Lose = Callable[[Pets, str], None]


@pytest.fixture
def lose(tmp_path: Path) -> Lose:
    """lose(pets, sample): the pack in which the image lies is gone; ``bring_back`` restores all of them."""

    def run(pets: Pets, sample: str) -> None:
        with pets.project.workspace.database.read() as connection:
            query = sa.select(sample_table.c.pack).where(sample_table.c.id == sample)
            pack = str(connection.execute(query).scalar_one())
        path = Path(pets.project.workspace.blobs.path_of("packs", pack, ".pack"))
        if path.exists():
            (tmp_path / "gone").mkdir(exist_ok=True)
            path.rename(tmp_path / "gone" / f"{path.parent.name}-{path.name}")

    return run


def bring_back(pets: Pets, tmp_path: Path) -> None:
    for path in (tmp_path / "gone").iterdir():
        folder, _, name = path.name.partition("-")
        path.rename(Path(pets.project.workspace.blobs.path_of("packs", "", "")) / folder / name)


def forget_vectors(pets: Pets) -> None:
    """As on another machine."""
    shutil.rmtree(pets.project.workspace.cache / "vectors")


def count_votes(pets: Pets) -> int:
    with pets.project.workspace.database.read() as connection:
        return len(find_votes(connection, "pets", voter="ann"))


def test_a_new_champion_loads_without_them_and_learns_them_once_they_are_back(
    pets: Pets, seen_otherwise: Callable[[], LiveModel], lose: Lose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (gone,), (there,) = pets.show("cat", 0), pets.show("cat", 1)
    for sample in (gone, there):
        pets.say(sample, "cat", role=Role.GROUND_TRUTH)
    lose(pets, gone)
    for _ in range(2):  # a restart finds the same, and learns nothing twice
        live = seen_otherwise()
        carry_over(live)
        with live.workspace.database.read() as connection:
            live.follow(connection)
        assert (live.stands(gone).weight, live.stands(there).weight, set(live.lost)) == (0, 1, {gone})
    assert f"1 images that people have labelled are gone or damaged, {gone[:12]}..." in caplog.text
    assert count_votes(pets) == 2
    bring_back(pets, tmp_path)
    live = seen_otherwise()
    assert carry_over(live) == 1
    assert (live.stands(gone).weight, live.lost) == (1, frozenset())
    np.testing.assert_allclose(live.newest().snapshot.weights, refit(live), atol=1e-8)  # type: ignore[union-attr]
    assert carry_over(seen_otherwise()) == 0


def test_what_was_learnt_once_needs_no_image_any_more(
    pets: Pets, seen_otherwise: Callable[[], LiveModel], lose: Lose
) -> None:
    """A carried vote's vector is kept as that of one who was heard."""
    (sample,) = pets.show("cat", 0)
    pets.say(sample, "cat", role=Role.GROUND_TRUTH)
    live = seen_otherwise()
    assert carry_over(live) == 1
    lose(pets, sample)
    forget_vectors(pets)
    again = seen_otherwise()
    with again.workspace.database.read() as connection:
        again.follow(connection)
    assert dict(again.learnt()) == dict(live.learnt())
    assert again.lost == frozenset()


def test_an_entry_that_nobody_can_follow_is_left_out_and_told(
    pets: Pets, seen_otherwise: Callable[[], LiveModel], lose: Lose
) -> None:
    """What stands in a ledger without its vector, as older versions of Pellucid wrote it."""
    (sample,) = pets.show("cat", 0)
    pets.say(sample, "cat", role=Role.GROUND_TRUTH)
    carry_over(seen_otherwise())
    lose(pets, sample)
    forget_vectors(pets)
    with pets.project.workspace.database.write() as connection:
        connection.execute(sa.text("DELETE FROM live_vector"))
    live = seen_otherwise()
    with live.workspace.database.read() as connection:
        assert live.follow(connection) == 1
    assert (live.stands(sample).weight, set(live.lost)) == (0, {sample})


def test_judging_anew_and_review_go_on_without_them(
    pets: Pets, seen_otherwise: Callable[[], LiveModel], lose: Lose, tmp_path: Path
) -> None:
    (gone,), (there,) = pets.show("cat", 0), pets.show("cat", 1)
    for voter in ("ann", "bob"):
        pets.say(gone, "cat", voter)
        pets.say(there, "dog" if voter == "bob" else "cat", voter)
    lose(pets, gone)
    live = seen_otherwise()
    report = reaudit(live)
    assert (report.judged, report.lost, set(live.lost)) == (1, 1, {gone})
    judged = make_queue(live).judged
    bring_back(pets, tmp_path)
    assert make_queue(live).judged == judged + 1
    report = reaudit(live)
    assert (report.judged, report.lost, live.lost) == (2, 0, frozenset())
    assert live.stands(gone).weight > 0


def test_a_voter_is_forgotten_without_them(
    pets: Pets, seen_otherwise: Callable[[], LiveModel], lose: Lose, tmp_path: Path
) -> None:
    (gone,), (there,) = pets.show("cat", 0), pets.show("cat", 1)
    for sample in (gone, there):
        pets.say(sample, "cat", role=Role.GROUND_TRUTH)
    live = seen_otherwise()
    carry_over(live)
    lose(pets, gone)
    forget_vectors(pets)
    with pets.project.workspace.database.write() as connection:
        connection.execute(sa.text("DELETE FROM live_vector WHERE sample_id = :gone"), {"gone": gone})
    embed_samples(  # of what was ingested
        live.workspace, live.predictor.extractor, [row.sample for row in pets.project.inspect("pets").rows]
    )
    report = forget(pets.project.workspace, "pets", voter="ann", live=live)
    assert (report.votes, report.unlearnt, count_votes(pets)) == (2, 1, 0)
    assert report.note.startswith(f"1 of the images are gone or damaged, {gone[:12]}... among them, and stay learnt")
    assert live.stands(gone).weight == 1
    bring_back(pets, tmp_path)
    again = seen_otherwise()
    with again.workspace.database.read() as connection:
        again.follow(connection)
    carry_over(again)
    assert again.stands(gone).weight == 0


def test_a_retraining_does_without_them_until_they_are_back(
    pets: Pets, seen_otherwise: Callable[[], LiveModel], lose: Lose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen_otherwise()
    (gone,), (there,) = pets.show("cat", 0), pets.show("cat", 1)
    for sample in (gone, there):
        pets.say(sample, "cat", role=Role.GROUND_TRUTH)
    lose(pets, gone)
    found = pets.project.retrain("pets")
    rows = {row.sample: row for row in pets.project.inspect(str(found.version)).rows}
    assert rows[there].status is Status.OK
    assert (rows[gone].status, rows[gone].reason) == (Status.SET_ASIDE, "its image is gone or damaged")
    assert f"1 images of pets are gone or damaged, {gone[:12]}..." in caplog.text
    assert pets.project.retrain("pets").message.startswith("nothing new to learn")
    bring_back(pets, tmp_path)
    found = pets.project.retrain("pets")
    rows = {row.sample: row for row in pets.project.inspect(str(found.version)).rows}
    assert rows[gone].status is Status.OK


def test_a_retraining_waits_for_a_place_that_is_gone(
    pets: Pets, seen_otherwise: Callable[[], LiveModel], lose: Lose, tmp_path: Path
) -> None:
    seen_otherwise()
    before = pets.project.inspect("pets").version.ref
    for row in pets.project.inspect("pets").rows:
        lose(pets, row.sample)
    forget_vectors(pets)
    with pytest.raises(StorageError, match="too many to do without"):
        pets.project.retrain("pets")
    assert pets.project.inspect("pets").version.ref == before


def test_the_vector_that_is_kept_does_for_the_image(pets: Pets, lose: Lose) -> None:
    (sample,) = pets.show("cat", 0)
    extractor = pets.live.predictor.extractor
    expected = embed_samples(pets.project.workspace, extractor, [sample])
    lose(pets, sample)
    forget_vectors(pets)
    np.testing.assert_allclose(embed_samples(pets.project.workspace, extractor, [sample]), expected, atol=1e-6)
    with pets.project.workspace.database.write() as connection:
        connection.execute(sa.text("DELETE FROM live_vector"))
    forget_vectors(pets)
    with pytest.raises(NotFoundError, match="removed from the store by hand"):
        embed_samples(pets.project.workspace, extractor, [sample])


def test_the_guard_judges_by_those_that_are_left(pets: Pets, lose: Lose) -> None:
    guard = pets.live.guard
    assert guard is not None
    gone = next(row.sample for row in pets.rows(Split.TRUSTED))
    lose(pets, gone)
    assert pets.again().guard is not None
