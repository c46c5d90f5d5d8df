"""Simulate: two days of live traffic, drawn once by the seed: which image comes when, who looks, and what he says.

Monday's images are clean and its labels true; Tuesday's images are corrupted and its users err (``protocol/days.py``,
``noise/corrupt.py``, ``noise/inject.py``). Nothing is sent here.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from pellucid.errors import DataError, ImageError, UsageError
from pellucid.features.decode import DEFAULT_LIMITS, Limits, check_header, decode
from pellucid.features.extractor import open_extractor
from pellucid.features.pipeline import embed_stream
from pellucid.flow.training.monday_tuesday import CORRUPTION, INSTANCE_L2, corrupted_id, corruption_seed
from pellucid.flow.workspace import Progress, no_progress
from pellucid.noise.corrupt import MIN_SIDE, corrupt_image
from pellucid.noise.inject import inject_labels
from pellucid.protocol.days import draw_days
from pellucid.protocol.desk import held_out
from pellucid.protocol.problem import NOISES

MONDAY, TUESDAY = DAYS = ("monday", "tuesday")

_LIKENESS = 20.0  # of the users' accuracies; at a mean of 0.7 their standard deviation is 0.1
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Play:
    """What is to be simulated; the same play on the same images is the same traffic."""

    days: tuple[str, ...] = DAYS  # which are played, in their order
    user_accuracy: float = 0.7  # 0..1: the mean share of right labels on Tuesday
    monday_accuracy: float = 1.0  # 0..1: the same on Monday, for every user
    users: int = 10
    bad_users: int = 0  # so many of them say a wrong label always, on both days
    noise: str = "symmetric"  # what wrong labels are: "symmetric", "pair" or "instance", as of `inject_labels`
    images: int | None = None  # at most so many, shared evenly by the days; all where None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("user_accuracy", "monday_accuracy"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is {getattr(self, name):g}; wanted is a share of right labels, 0 to 1")
        if not self.days or len(set(self.days)) < len(self.days) or not set(self.days) <= set(DAYS):
            raise UsageError(f"the days are {', '.join(self.days) or 'none'}; wanted are monday, tuesday or both")
        if self.noise not in NOISES:
            raise UsageError(f"there is no label noise {self.noise!r} in this protocol; there are {', '.join(NOISES)}")
        if self.users < 1 or not 0 <= self.bad_users <= self.users:
            raise UsageError(
                f"{self.bad_users} of {self.users} users are to be bad; wanted is a user at least, and no more bad ones"
            )
        if self.images is not None and self.images < 1:
            raise UsageError(f"{self.images} images are to be shown; wanted is at least 1")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"the seed is {self.seed}; wanted is 0 to 2^32 - 1")


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that may come by."""

    sample: str  # sha256 of its bytes
    name: str  # how people find it
    truth: str  # what it shows
    group: str  # pictures of one group show the same thing and come on one day
    read: Callable[[], bytes] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who says what images show."""

    name: str  # "user-1"
    accuracy: float  # 0..1: P(the label is right) on Tuesday


@dataclass(frozen=True, slots=True)
class Visit:
    """One image that comes by, and what a user says of it."""

    id: str  # the same for the same play on the same images, so that saying it twice counts once
    day: str
    picture: Picture
    user: str
    said: str  # the label that the user gives

    @property
    def right(self) -> bool:
        """Whether the user says what is true."""
        return self.said == self.picture.truth


@dataclass(frozen=True, slots=True)
class Shown:
    """An image as it is sent."""

    data: bytes = field(repr=False)  # encoded
    media_type: str  # by content: "image/png"
    corruption: str  # what was done to it, as of `corrupt_image`; empty for nothing


@dataclass(frozen=True, slots=True)
class Traffic:
    """All that will happen, in order."""

    play: Play
    visits: tuple[Visit, ...]
    users: tuple[User, ...]
    classes: tuple[str, ...]  # sorted; what users may say
    limits: Limits

    def show(self, visit: Visit) -> Shown:
        """The visit's image: Monday's as it is, Tuesday's corrupted, which is saved as PNG.

        A picture too small to draw on stays as it is. Safe from several threads at once.

        Raises:
            ImageError: it cannot be read, or is of Tuesday and cannot be decoded.
        """
        data = visit.picture.read()
        if visit.day == TUESDAY:
            image = decode(data, self.limits).image
            if min(image.size) >= MIN_SIDE:
                seed = corruption_seed(corrupted_id(visit.picture.sample, self.play.seed))
                result = corrupt_image(image, "mixed", seed)
                buffer = io.BytesIO()
                result.image.save(buffer, "PNG", compress_level=1)
                return Shown(buffer.getvalue(), "image/png", result.kind)
        try:
            return Shown(data, check_header(data, self.limits).media_type, "")
        except ImageError:  # whoever receives it is to say so
            return Shown(data, _UNKNOWN, "")


def draw_traffic(
    pictures: Sequence[Picture], play: Play, *, limits: Limits = DEFAULT_LIMITS, progress: Progress = no_progress
) -> Traffic:
    """Draws the visits, all at once and for good: the days, their order, the users and what each says.

    Both days are always drawn, so that Tuesday's images are the same whether Monday is played or not. The order within
    a day is random, and any beginning of it has every class's share; fewer images are the beginning of more. The
    accuracies of the users spread around their mean as a Beta distribution does.

    Args:
        pictures: each sample once.
        limits: what is decoded at most.
        progress: told of what takes long, which is instance-dependent noise only.

    Raises:
        DataError: too few images for two days, or one class.

    >>> pictures = [Picture(f"{n:064x}", f"{n}.png", ("cat", "dog")[n % 2], str(n), bytes) for n in range(40)]
    >>> traffic = draw_traffic(pictures, Play(user_accuracy=0.0, users=2))
    >>> [(day, len(says), sum(says)) for day in DAYS
    ...     for says in [[visit.right for visit in traffic.visits if visit.day == day]]]
    [('monday', 20, 20), ('tuesday', 20, 0)]
    """
    pictures = sorted(pictures, key=lambda picture: picture.sample)
    names = [picture.truth for picture in pictures]
    days = draw_days(names, [picture.group for picture in pictures], play.seed)
    classes = tuple(sorted(set(names)))
    index = {name: number for number, name in enumerate(classes)}
    y = np.array([index[name] for name in names], np.intp)
    beliefs = _beliefs(pictures, y, len(classes), limits, progress) if play.noise == "instance" else None
    users = _draw_users(play)
    round_ = _name(pictures, play)
    visits: list[Visit] = []
    for number, day in enumerate(DAYS):
        if day not in play.days:
            continue
        rows = np.sort(np.concatenate([days.monday_train, days.monday_test])) if day == MONDAY else days.tuesday
        rng = np.random.default_rng([play.seed, 2, number])
        rows = rows[_stratified_order(y[rows], rng)]
        who = rng.integers(play.users, size=len(rows))
        said = _say(y, rows, who, play, users, day, beliefs, len(classes))
        share = None if play.images is None else _share(play, day)
        visits += [
            Visit(f"{round_}-{day}-{at + 1}", day, pictures[row], users[user].name, classes[label])
            for at, (row, user, label) in enumerate(zip(rows.tolist(), who.tolist(), said.tolist(), strict=True))
        ][:share]
    return Traffic(play, tuple(visits), users, classes, limits)


def _draw_users(play: Play) -> tuple[User, ...]:
    """Users with accuracies at even quantiles of a Beta distribution, the mean kept; the last of them are bad."""
    mean, good = play.user_accuracy, play.users - play.bad_users
    accuracy = np.full(good, mean)
    if 0 < mean < 1 and good > 1:
        spread = beta.ppf((np.arange(good) + 0.5) / good, mean * _LIKENESS, (1 - mean) * _LIKENESS)
        accuracy = np.clip(spread + mean - spread.mean(), 0, 1)
    accuracy = np.concatenate([np.random.default_rng([play.seed, 1]).permutation(accuracy), np.zeros(play.bad_users)])
    return tuple(User(f"user-{number}", round(float(share), 4)) for number, share in enumerate(accuracy, 1))


def _say(
    y: NDArray[np.intp],
    rows: NDArray[np.intp],
    who: NDArray[np.intp],
    play: Play,
    users: Sequence[User],
    day: str,
    beliefs: NDArray[np.float64] | None,
    K: int,
) -> NDArray[np.intp]:
    """The label that each row's user gives, (len(rows),)."""
    said = y[rows].copy()
    for number, user in enumerate(users):
        own = np.flatnonzero(who == number)
        is_bad = number >= play.users - play.bad_users
        accuracy = user.accuracy if day == TUESDAY or is_bad else play.monday_accuracy
        if not len(own):
            continue
        seed = int(np.random.SeedSequence([play.seed, 3, DAYS.index(day), number]).generate_state(1)[0])
        p = None if beliefs is None else beliefs[rows[own]]
        noise = inject_labels(y[rows[own]], play.noise, 1 - accuracy, seed, classes=np.arange(K), pred_probs=p)
        said[own] = noise.labels
    return said


def _stratified_order(y: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """A random order in which each class comes evenly."""
    place = np.empty(len(y))  # 0..1 within its class
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        place[members] = (rng.permutation(len(members)) + rng.random(len(members))) / len(members)
    return np.argsort(place, kind="stable")


def _share(play: Play, day: str) -> int:
    """How many of the images that are wanted the day gets; the first day gets the odd one."""
    wanted, number = play.images or 0, len(play.days)
    first = next(name for name in DAYS if name in play.days)
    return wanted // number + (wanted % number if day == first else 0)


def _beliefs(
    pictures: Sequence[Picture], y: NDArray[np.intp], K: int, limits: Limits, progress: Progress
) -> NDArray[np.float64]:
    """Probabilities (n, K) of a logistic regression on classical features; even ones where there are no features."""
    extractor = open_extractor("classical")
    X = np.zeros((len(pictures), extractor.dim), np.float32)
    usable = np.zeros(len(pictures), np.bool_)
    stream = embed_stream(extractor, [(item.name, item.read) for item in pictures], limits=limits)
    for row, (_, found) in enumerate(stream):
        if not isinstance(found, ImageError):
            X[row], usable[row] = found, True
        progress("looking at what is easily confused", row + 1, len(pictures))
    if not usable.any():
        raise DataError("none of the images can be decoded; offer JPEG, PNG, WebP, BMP, GIF or TIFF")
    groups = np.unique([item.group for item in pictures], return_inverse=True)[1].astype(np.intp)
    p = np.full((len(pictures), K), 1 / K)
    p[usable] = held_out(X[usable], y[usable], groups[usable], K, INSTANCE_L2).probabilities
    return p


def _name(pictures: Sequence[Picture], play: Play) -> str:
    """What tells this play on these images from every other, 12 hexadecimal digits; however many are shown of it."""
    decides: Mapping[str, object] = {name: value for name, value in asdict(play).items() if name not in _EXTENT}
    shown = [(picture.sample, picture.truth) for picture in pictures]
    text = json.dumps([CORRUPTION, decides, shown], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


_EXTENT = frozenset({"days", "images"})  # of a play, what only says how much of it is shown
