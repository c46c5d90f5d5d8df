from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import DataError, ImageError, UsageError
from pellucid.flow.production.simulate import DAYS, Picture, Play, Traffic, draw_traffic
from pellucid.noise.corrupt import corrupt_image
from pellucid.protocol.days import draw_days

CLASSES = ("cat", "dog", "eel")
MakePictures = Callable[..., list[Picture]]


@pytest.fixture(scope="module")
def make_pictures(picture: Callable[..., bytes]) -> MakePictures:
    """make(n): n pictures of each of three classes, each a group of its own."""

    def make(count: int) -> list[Picture]:
        found = []
        for label in CLASSES:
            for number in range(count):
                data = picture(label, number)
                name = hashlib.sha256(data).hexdigest()
                found.append(Picture(name, f"{label}/{number}.png", label, name, lambda data=data: data))  # type: ignore[misc]
        return found

    return make


def bare(count: int, *, groups: int | None = None) -> list[Picture]:
    """Pictures of which nobody looks at the pixels."""
    number = groups or count
    return [Picture(f"{n:064x}", f"{n}.png", CLASSES[n % number % 3], str(n % number), bytes) for n in range(count)]


def words(traffic: Traffic) -> list[tuple[str, ...]]:
    return [(visit.id, visit.day, visit.picture.sample, visit.user, visit.said) for visit in traffic.visits]


def test_the_same_play_is_the_same_traffic_whatever_the_order_of_the_pictures() -> None:
    pictures = bare(300)
    assert words(draw_traffic(pictures, Play())) == words(draw_traffic(pictures[::-1], Play()))
    for other in (Play(seed=1), Play(user_accuracy=0.6), Play(noise="pair"), Play(users=3), Play(bad_users=1)):
        ids = {visit.id for visit in draw_traffic(pictures, other).visits}
        assert ids.isdisjoint({visit.id for visit in draw_traffic(pictures, Play()).visits})


def test_the_days_are_those_of_the_protocol() -> None:
    pictures = bare(300, groups=120)
    days = draw_days([item.truth for item in pictures], [item.group for item in pictures], 5)
    traffic = draw_traffic(pictures, Play(seed=5))
    tuesday = {visit.picture.sample for visit in traffic.visits if visit.day == "tuesday"}
    assert tuesday == {pictures[row].sample for row in days.tuesday}
    assert [visit.day for visit in traffic.visits] == sorted(visit.day for visit in traffic.visits)
    assert len({visit.id for visit in traffic.visits}) == len({visit.picture.sample for visit in traffic.visits}) == 300
    groups = [{visit.picture.group for visit in traffic.visits if visit.day == day} for day in DAYS]
    assert groups[0].isdisjoint(groups[1])


def test_one_day_alone_and_fewer_images_are_a_part_of_all() -> None:
    pictures = bare(300)
    whole = words(draw_traffic(pictures, Play()))
    tuesday = words(draw_traffic(pictures, Play(days=("tuesday",))))
    assert tuesday == [line for line in whole if line[1] == "tuesday"]
    some = words(draw_traffic(pictures, Play(images=41)))
    assert some == [line for line in whole if line[1] == "monday"][:21] + tuesday[:20]
    assert words(draw_traffic(pictures, Play(images=10_000))) == whole


def test_any_beginning_has_every_class_s_share() -> None:
    visits = draw_traffic(bare(900), Play(days=("monday",))).visits
    for end in (30, 60, 150):
        shares = [sum(visit.picture.truth == label for visit in visits[:end]) / end for label in CLASSES]
        assert max(abs(share - 1 / 3) for share in shares) < 0.1


def test_monday_is_right_and_tuesday_as_right_as_its_users() -> None:
    traffic = draw_traffic(bare(6000), Play(user_accuracy=0.7, users=20))
    accuracies = np.array([user.accuracy for user in traffic.users])
    assert accuracies.mean() == pytest.approx(0.7, abs=1e-3)
    assert 0.05 < accuracies.std() < 0.15
    assert all(visit.right for visit in traffic.visits if visit.day == "monday")
    tuesday = [visit for visit in traffic.visits if visit.day == "tuesday"]
    assert np.mean([visit.right for visit in tuesday]) == pytest.approx(0.7, abs=0.03)  # 3000 draws: se 0.008
    for user in traffic.users:
        own = [visit.right for visit in tuesday if visit.user == user.name]
        assert np.mean(own) == pytest.approx(user.accuracy, abs=4 * np.sqrt(0.25 / len(own)))
    wrong = [visit for visit in tuesday if not visit.right]
    assert {visit.said for visit in wrong if visit.picture.truth == "cat"} == {"dog", "eel"}


@pytest.mark.parametrize(("accuracy", "right"), [(1.0, {True}), (0.0, {False})])
def test_the_extremes(accuracy: float, right: set[bool]) -> None:
    traffic = draw_traffic(bare(90), Play(user_accuracy=accuracy, monday_accuracy=accuracy))
    assert {visit.right for visit in traffic.visits} == right
    assert {user.accuracy for user in traffic.users} == {accuracy}


def test_one_user_has_the_accuracy_that_is_asked_for() -> None:
    assert [user.accuracy for user in draw_traffic(bare(60), Play(users=1)).users] == [0.7]


def test_bad_users_are_always_wrong_and_the_others_keep_their_mean() -> None:
    traffic = draw_traffic(bare(3000), Play(users=8, bad_users=3))
    assert [user.accuracy for user in traffic.users[5:]] == [0.0] * 3
    assert np.mean([user.accuracy for user in traffic.users[:5]]) == pytest.approx(0.7, abs=1e-3)
    bad = {user.name for user in traffic.users[5:]}
    assert bad == {"user-6", "user-7", "user-8"}
    for day in DAYS:
        assert not any(visit.right for visit in traffic.visits if visit.user in bad and visit.day == day)
    assert all(visit.right for visit in traffic.visits if visit.user not in bad and visit.day == "monday")


def test_pair_noise_names_the_next_class() -> None:
    following = dict(zip(CLASSES, (*CLASSES[1:], CLASSES[0]), strict=True))
    visits = draw_traffic(bare(300), Play(noise="pair", user_accuracy=0.5)).visits
    wrong = [visit for visit in visits if not visit.right]
    assert len(wrong) > 30
    assert all(visit.said == following[visit.picture.truth] for visit in wrong)


def test_instance_noise_confuses_what_looks_alike(make_pictures: MakePictures) -> None:
    """Half of the cats are tinted like dogs: theirs are the labels that go wrong first, and to dog."""
    pictures = make_pictures(40)
    greens = [item for item in pictures if item.truth == "dog"]
    muddled = [replace(item, truth="cat") if number % 2 else item for number, item in enumerate(greens)]
    traffic = draw_traffic(
        [item for item in pictures if item.truth != "dog"] + muddled,
        Play(noise="instance", user_accuracy=0.5, users=1),
    )
    tricky = {item.sample for item in muddled}
    tuesday = [visit for visit in traffic.visits if visit.day == "tuesday"]
    wrong = [
        np.mean([not visit.right for visit in tuesday if (visit.picture.sample in tricky) is which])
        for which in (True, False)
    ]
    assert wrong[0] > 0.65  # all together it is a half
    assert wrong[1] < 0.5
    said = {visit.said for visit in tuesday if visit.picture.sample in tricky}
    assert said == {"cat", "dog"}


def test_only_tuesday_s_images_are_corrupted_and_as_the_protocol_does_it(make_pictures: MakePictures) -> None:
    traffic = draw_traffic(make_pictures(20), Play(seed=3))
    kinds = set()
    for visit in traffic.visits:
        shown = traffic.show(visit)
        assert shown.media_type == "image/png"
        if visit.day == "monday":
            assert (shown.data, shown.corruption) == (visit.picture.read(), "")
            continue
        name = hashlib.sha256(f"mixed 1 3 {visit.picture.sample}".encode()).hexdigest()
        expected = corrupt_image(
            Image.open(io.BytesIO(visit.picture.read())).convert("RGB"), "mixed", int(name[:15], 16)
        )
        assert np.array_equal(np.array(Image.open(io.BytesIO(shown.data))), np.array(expected.image))
        assert shown.corruption == expected.kind
        kinds.add(shown.corruption)
    assert kinds == {"boxes", "mosaic", "line"}


def test_what_cannot_be_decoded_is_sent_on_monday_and_cannot_be_on_tuesday() -> None:
    traffic = draw_traffic([replace(item, read=lambda: b"no image") for item in bare(60)], Play())
    monday, tuesday = traffic.visits[0], traffic.visits[-1]
    assert traffic.show(monday).media_type == "application/octet-stream"
    with pytest.raises(ImageError):
        traffic.show(tuesday)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user_accuracy": 1.5}, "user_accuracy is 1.5"),
        ({"monday_accuracy": float("nan")}, "monday_accuracy is nan"),
        ({"days": ("friday",)}, "the days are friday"),
        ({"days": ()}, "the days are none"),
        ({"days": ("monday", "monday")}, "the days are monday, monday"),
        ({"noise": "loud"}, "no label noise 'loud'"),
        ({"users": 0}, "0 of 0 users"),
        ({"users": 2, "bad_users": 3}, "3 of 2 users"),
        ({"images": 0}, "0 images"),
        ({"seed": -1}, "the seed is -1"),
    ],
)
def test_a_play_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Play(**options)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DataError, match="give more images"):
        draw_traffic(bare(3), Play())
