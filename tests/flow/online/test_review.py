"""Which labels a person is asked about, in which order, and who is asked."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from pellucid.errors import NotFoundError
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.asking import answers_of, choices, shares_now
from pellucid.flow.online.gallery import Gallery
from pellucid.flow.online.live import LiveModel
from pellucid.flow.online.place import NOWHERE
from pellucid.flow.online.review import DOUBT, Queue, Taken, glance, make_queue, renew_queue, state_of, take
from pellucid.flow.online.take_back import take_back
from pellucid.types import Role, Split

from ...conftest import picture_bytes
from ..conftest import Pets, refit

LASTS = timedelta(minutes=5)


def samples(queue: Queue | Taken) -> list[str]:
    return [item.sample for item in queue.doubts]


def taken(
    pets: Pets, queue: Queue, voter: str, most: int = 1, page: str = "", *, skip: frozenset[str] = frozenset()
) -> Taken:
    return take(pets.project.workspace, queue, voter, f"{voter}/{page}", most, LASTS, skip=skip)


def test_a_wrong_label_is_asked_about_and_a_right_one_is_not(pets: Pets) -> None:
    wrong, right = pets.show("cat", 0, 1), pets.show("dog", 2, 3)
    for sample in (*wrong, *right):
        pets.say(sample, "dog", voter="eve")
    queue = make_queue(pets.live)
    assert set(samples(queue)) == set(wrong)
    assert queue.judged == 4 + len(pets.rows(Split.TRAIN))
    first = queue.doubts[0]
    assert (first.given, first.suggested, first.words, first.conflict) == ("dog", "cat", (("eve", "dog"),), False)
    assert first.trust < DOUBT
    effects = [item.effect for item in queue.doubts]
    assert effects == sorted(effects, reverse=True)
    assert effects[-1] > 0


def test_what_a_person_decides_leaves_at_once_and_comes_back_when_it_is_taken_back(pets: Pets) -> None:
    (wrong,) = pets.show("cat", 0)
    before = pets.weights()
    pets.say(wrong, "dog", voter="eve")
    stood = pets.live.stands(wrong)
    queue = make_queue(pets.live)
    heard = pets.say(wrong, "cat", voter="ann", role=Role.ANNOTATOR)
    assert samples(taken(pets, queue, "bob")) == []
    assert samples(make_queue(pets.live)) == []
    assert pets.live.stands(wrong).weight > 0.9
    done = take_back(pets.live, wrong, heard.vote, "ann")
    assert (done.label, done.sample) == ("cat", wrong)
    np.testing.assert_allclose(pets.weights(), refit(pets.live), atol=1e-8)
    assert pets.live.stands(wrong) == stood == NOWHERE, "eve's word is kept, and too little to learn"
    np.testing.assert_allclose(pets.weights(), before, atol=1e-8)
    assert samples(taken(pets, queue, "bob")) == [wrong]
    np.testing.assert_allclose(pets.again().newest().snapshot.weights, pets.weights(), atol=1e-8)  # type: ignore[union-attr]


def test_nobody_takes_back_the_word_of_another_one_or_twice(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    heard = pets.say(sample, "cat", voter="ann")
    stands = pets.live.stands(sample)
    with pytest.raises(NotFoundError, match="'bob' has no vote"):
        take_back(pets.live, sample, heard.vote, "bob")
    assert pets.live.stands(sample) == stands
    take_back(pets.live, sample, heard.vote, "ann")
    assert pets.live.stands(sample).weight == 0
    with pytest.raises(NotFoundError, match="taken back already"):
        take_back(pets.live, sample, heard.vote, "ann")


def test_two_who_contradict_each_other_are_heard_by_a_third(pets: Pets) -> None:
    (sample,) = pets.show("grey", 0)  # neither a cat nor a dog to the model
    pets.say(sample, "cat", voter="ann", role=Role.ANNOTATOR)
    assert samples(make_queue(pets.live)) == []
    pets.say(sample, "dog", voter="bob", role=Role.ANNOTATOR)
    queue = make_queue(pets.live)
    (doubt,) = queue.doubts
    assert (doubt.conflict, set(doubt.reviewers)) == (True, {"ann", "bob"})
    assert {doubt.given, doubt.suggested} == {"cat", "dog"}
    assert samples(taken(pets, queue, "ann")) == samples(taken(pets, queue, "bob")) == []
    assert samples(taken(pets, queue, "kim")) == [sample]


def test_ground_truth_and_what_is_measured_on_is_not_asked_about(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    pets.say(sample, "dog", voter="ann", role=Role.GROUND_TRUTH)
    for split in (Split.TEST, Split.TRUSTED):
        row = pets.rows(split)[0]
        pets.say(row.sample, "cat" if row.label == "dog" else "dog", voter="eve")
    assert samples(make_queue(pets.live)) == []


def test_several_people_never_get_the_same(pets: Pets) -> None:
    wrong = pets.show("cat", *range(6))
    for sample in wrong:
        pets.say(sample, "dog", voter="eve")
    queue = make_queue(pets.live)
    ann, bob, second = (
        taken(pets, queue, "ann", 2),
        taken(pets, queue, "bob", 2),
        taken(pets, queue, "ann", 2, "page 2"),
    )
    assert [*samples(ann), *samples(bob), *samples(second)] == samples(queue)
    kim = taken(pets, queue, "kim", 2)
    assert (samples(kim), kim.left, kim.elsewhere) == ([], len(wrong), len(wrong))
    assert (ann.left, ann.elsewhere, second.elsewhere) == (len(wrong), 0, 4)
    aside = taken(pets, queue, "ann", 3, skip=frozenset(samples(ann)[:1]))
    assert (samples(aside), aside.left, aside.aside) == (samples(ann)[1:], len(wrong) - 1, 1)
    assert samples(taken(pets, queue, "kim", 2)) == samples(ann)[:1]  # which ann has left to others


def test_one_page_never_holds_all_that_is_left(pets: Pets) -> None:
    wrong = pets.show("cat", *range(6))
    for sample in wrong:
        pets.say(sample, "dog", voter="eve")
    queue = make_queue(pets.live)
    assert samples(taken(pets, queue, "ann", 4)) == samples(queue)[:2]
    on_screen = samples(queue)[1]
    again = take(pets.project.workspace, queue, "ann", "ann/", 1, LASTS, first=on_screen)
    assert samples(again) == [on_screen]
    assert samples(taken(pets, queue, "bob", 4)) == [samples(queue)[0], samples(queue)[2]]
    for sample in samples(queue)[2:]:
        pets.say(sample, "cat", voter="kim", role=Role.ANNOTATOR)
    assert samples(taken(pets, queue, "ann", 4)) == [on_screen]
    assert samples(taken(pets, queue, "bob", 4)) == samples(queue)[:1]


def test_nobody_is_locked_out_by_a_page_of_their_own(pets: Pets) -> None:
    """As by a tab that was forgotten, or one that a server took with it when it was killed."""
    (wrong,) = pets.show("cat", 0)
    pets.say(wrong, "dog", voter="eve")
    queue = make_queue(pets.live)
    assert samples(taken(pets, queue, "ann", 4, "lost")) == [wrong]
    bob = taken(pets, queue, "bob")
    assert (samples(bob), bob.left, bob.elsewhere) == ([], 1, 1)
    assert samples(taken(pets, queue, "ann", 4, "new")) == [wrong]
    assert samples(taken(pets, queue, "bob")) == []


def test_a_glance_counts_what_there_is_and_takes_nothing(pets: Pets) -> None:
    wrong = pets.show("cat", 0, 1)
    for sample in wrong:
        pets.say(sample, "dog", voter="eve")
    pets.say(wrong[0], "cat", voter="kim")
    queue = make_queue(pets.live)
    for _ in range(2):
        seen = glance(pets.project.workspace, queue, "ann")
        assert (samples(seen), seen.left, seen.elsewhere) == (samples(queue)[:1], len(queue.doubts), 0)
    assert seen.conflicts == sum(item.conflict for item in queue.doubts)
    taken(pets, queue, "bob")
    assert glance(pets.project.workspace, queue, "ann").elsewhere == 1
    pets.say(wrong[1], "cat", voter="ann", role=Role.ANNOTATOR)
    assert glance(pets.project.workspace, queue, "ann").left == len(queue.doubts) - 1


def test_the_state_changes_with_every_word(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    first = state_of(pets.live)
    heard = pets.say(sample, "cat")
    second = state_of(pets.live)
    take_back(pets.live, sample, heard.vote, "ann")
    assert len({first, second, state_of(pets.live)}) == 3


def test_a_queue_is_made_anew_only_where_something_was_said(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    old = renew_queue(pets.live, None)
    assert renew_queue(pets.live, old) is old
    pets.say(sample, "dog")
    new = renew_queue(pets.live, old)
    assert (new.state, new.upto > old.upto) == (state_of(pets.live), True)


def test_the_gallery_finds_what_brute_force_finds(pets: Pets) -> None:
    gallery = Gallery(pets.live)
    (sample,) = pets.show("cat", 0)
    pets.say(sample, "cat")  # later than the gallery
    names = list(pets.live.learnt())
    with pets.project.workspace.database.read() as connection:
        X = pets.live.vectors.of(connection, names).astype(float)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    x = X[names.index(sample)]
    order = [names[place] for place in np.argsort(-(X @ x)) if names[place] != sample]
    near, cats, dogs = gallery.nearest_to(sample, 3, None, "cat", "dog")
    assert [item.sample for item in near] == order[:3]
    np.testing.assert_allclose([item.similarity for item in near], np.sort(X @ x)[::-1][1:4], atol=1e-5)
    assert ({item.label for item in cats}, {item.label for item in dogs}) == ({"cat"}, {"dog"})
    (itself,) = gallery.nearest(x.astype(np.float32), 1)
    assert itself.sample == sample
    assert itself.similarity == pytest.approx(1)


def test_a_gallery_is_bounded(pets: Pets) -> None:
    assert len(Gallery(pets.live, most=10).nearest(np.ones(pets.live.predictor.extractor.dim, np.float32), 99)) <= 10


def test_what_a_person_may_choose_and_what_the_model_says_by_now(pets: Pets) -> None:
    (sample,) = pets.show("cat", 0)
    assert choices(pets.live) == ("cat", "dog")
    before = shares_now(pets.live, sample)
    heard = pets.say(sample, "eel", role=Role.GROUND_TRUTH, new_class=True)
    assert choices(pets.live) == ("cat", "dog", "eel")
    now = shares_now(pets.live, sample)
    assert now["eel"] == pytest.approx(heard.after, abs=1e-6)
    assert list(now.values()) == sorted(now.values(), reverse=True)
    assert now["cat"] < before["cat"]


def test_a_persons_own_answers_with_what_they_said(pets: Pets) -> None:
    asked = [Asked(picture_bytes("cat", 1000 + number), actor) for number, actor in enumerate(("ann", "bob", "ann"))]
    found = [item.sample for item in answer(pets.project.workspace, pets.live.answerer, asked)]  # type: ignore[union-attr]
    heard = pets.say(found[0], "cat", voter="ann")
    mine = answers_of(pets.live, "ann", 6)
    assert [(item.sample, list(votes)) for item, votes in mine] == [(found[2], []), (found[0], [heard.vote])]
    assert len(answers_of(pets.live, "ann", 1)) == 1


def test_with_a_head_that_cannot_learn_single_rows_distrust_decides(pets: Pets) -> None:
    pets.project.train("pets", models="logistic")
    live = LiveModel(pets.project.workspace, pets.project.model("pets@2"))
    (wrong,) = pets.show("cat", 0)
    pets.say(wrong, "dog", voter="eve")
    (doubt,) = make_queue(live).doubts
    assert doubt.sample == wrong
    assert doubt.effect == pytest.approx(1 - doubt.trust)
