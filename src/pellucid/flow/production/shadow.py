"""Shadow: a candidate answers beside the champion, to nobody, and a report says where the two differ.

The candidate answers as it was trained. Each image counts once, as the two answered it when it came first: whatever is
said of it afterwards may be learnt, and then shows no more what a model can do by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pellucid.errors import ImageError, NotFoundError, UsageError
from pellucid.evaluate.compare import mcnemar
from pellucid.evaluate.evaluation import Estimate
from pellucid.evaluate.intervals import wilson
from pellucid.features.pipeline import embed_stream
from pellucid.flow.environment import current_user
from pellucid.flow.training.predict import open_predictor
from pellucid.flow.training.predictor import Predictor
from pellucid.flow.workspace import Workspace
from pellucid.labels.consensus import HEARD, derive
from pellucid.store.aliases import CHAMPION
from pellucid.store.live_vectors import keep_vectors, vectors_of
from pellucid.store.models import get_model
from pellucid.store.shadows import (
    Shadow,
    ShadowAnswer,
    add_shadow,
    add_shadow_answers,
    check_free,
    differences,
    end_shadows,
    newest_shadow,
    running_shadow,
    shadow_figures,
    shadowed,
)
from pellucid.store.votes import votes_of
from pellucid.types import KEEPER, Answer, Role, Vote

MOST = 20  # differing images in a report
_PAIRS = 100  # of labels in a report's confusion
_JUDGED = 10_000  # differing images, the newest, whose votes are looked at


@dataclass(frozen=True, slots=True)
class Judged:
    """Who was right of images on which the two differ."""

    images: int  # that have a label
    champion: int  # only the champion was right
    candidate: int  # only the candidate was right
    neither: int  # both were wrong
    p_value: float  # exact McNemar test, two-sided: small where chance alone would hardly split them so


@dataclass(frozen=True, slots=True)
class Difference:
    """An image of which the two said different things."""

    sample: str  # Sample.id
    prediction: str  # Answer.uid of the champion's answer
    champion: str  # "trash@1", which gave it
    champion_label: str
    champion_confidence: float  # 0..1
    label: str  # the candidate's
    confidence: float  # 0..1, the candidate's
    said: str | None  # the label that votes say since; None where none does or they contradict
    at: datetime  # UTC


@dataclass(frozen=True, slots=True)
class Taken:
    """How often the candidate says one thing where the champion says another."""

    champion_label: str
    label: str  # the candidate's
    images: int


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """Where a candidate and the champion differ on live traffic."""

    shadow: Shadow
    champions: tuple[str, ...]  # "trash@1": whom it was beside, oldest version first
    images: int  # that both have answered, each counted once
    agreement: Estimate | None  # share of them of which both said the same, 0..1, by Wilson; None without one
    champion_confidence: float | None  # mean, 0..1
    confidence: float | None  # the candidate's
    confusion: tuple[Taken, ...]  # where they differ, most first
    voted: Judged  # by all votes; users saw the champion's answer, which makes them agree with it more readily
    trusted: Judged  # of these, by ground truth alone
    labelled_before: int  # differing images not judged: a vote was there first, and either may have learnt it
    differing: tuple[Difference, ...]  # newest first


def begin_shadow(
    workspace: Workspace, ref: str, *, share: float = 1.0, actor: str | None = None, dry_run: bool = False
) -> Shadow:
    """Lets a candidate answer what the champion of its name is asked, from now on and to nobody.

    Every server notices within a second. The candidate is loaded and checked first.

    Args:
        ref: ``NAME@VERSION``.
        share: of the images, above 0 and at most 1, drawn by their content: one that comes again is in or out again.
        actor: who begins it; the user of the operating system where None.
        dry_run: refuses as it would, and changes nothing; the shadow has the id 0.

    Raises:
        NotFoundError, IntegrityError: there is no champion, or the candidate does not exist or cannot be loaded.
        UsageError: it is the champion itself, another is in the shadow already, or the share is out of range.
    """
    if not 0 < share <= 1:
        raise UsageError(f"the share is {share:g}; wanted is one above 0 and at most 1")
    with workspace.database.read() as connection:
        target = get_model(connection, ref)
        champion = get_model(connection, f"{target.name}@{CHAMPION}")
    if champion.version == target.version:
        raise UsageError(f"{target.ref} is the champion itself; name another version of {target.name}")
    open_predictor(workspace, target)
    who = actor or current_user()
    if dry_run:
        with workspace.database.read() as connection:
            check_free(connection, target.name)
        return Shadow(0, target.name, target.version, share, who, datetime.now(UTC))
    with workspace.database.write() as connection:
        return add_shadow(connection, target.name, target.version, share, who)


def end_shadow(workspace: Workspace, name: str, *, dry_run: bool = False) -> Shadow:
    """Ends what is in the shadow of the name's champion; what was answered stays for the report.

    Raises:
        NotFoundError: nothing is.
    """
    with workspace.database.write() as connection:
        running = running_shadow(connection, name)
        if running is None:
            raise NotFoundError(
                f"nothing is in the shadow of {name}'s champion; `pellucid models shadow {name}@VERSION` begins that"
            )
        if not dry_run:
            end_shadows(connection, name)
        return newest_shadow(connection, name) or running


def shadow_report(workspace: Workspace, ref: str, *, most: int = MOST) -> ShadowReport:
    """Where the candidate that was last in the champion's shadow, or still is, differs from it.

    Who was right is judged on images that nobody had labelled before both answered, by the labels said since: for each
    image the one that its votes derive (`labels/consensus.py`).

    Args:
        ref: ``NAME``, or ``NAME@VERSION`` for that candidate's last time.
        most: differing images that are listed.

    Raises:
        NotFoundError: no candidate has been there.
    """
    name, _, _ = ref.partition("@")
    with workspace.database.read() as connection:
        version = get_model(connection, ref).version if "@" in ref else None
        shadow = newest_shadow(connection, name, version)
        if shadow is None:
            raise NotFoundError(
                f"{ref} was never in a champion's shadow; `pellucid models shadow {name}@{version or 'VERSION'}` begins"
            )
        figures = shadow_figures(connection, shadow.id, _PAIRS)
        voted = differences(connection, shadow.id, _JUDGED, voted_in=name)
        newest = differences(connection, shadow.id, most)
        votes = votes_of(connection, name, list({item.sample for item in (*voted, *newest)}))
    since = {item.sample: _since(item, votes) for item in voted}
    fresh = [item for item in voted if since[item.sample] is not None]
    labels = {item.sample: derive(since[item.sample] or ()).label for item in voted}
    truth = {item.sample for item in fresh if any(vote.role is Role.GROUND_TRUTH for vote in since[item.sample] or ())}
    return ShadowReport(
        shadow=shadow,
        champions=tuple(f"{name}@{version}" for version in figures.champions),
        images=figures.images,
        agreement=wilson(figures.agreed, figures.images) if figures.images else None,
        champion_confidence=figures.champion_confidence,
        confidence=figures.confidence,
        confusion=tuple(Taken(*pair) for pair in figures.confusion),
        voted=_judge(fresh, labels),
        trusted=_judge([item for item in fresh if item.sample in truth], labels),
        labelled_before=len(voted) - len(fresh),
        differing=tuple(_difference(name, item, labels.get(item.sample)) for item in newest),
    )


def is_drawn(sample: str, share: float) -> bool:
    """Whether a candidate with that share of the images answers this one; its digest alone decides.

    >>> is_drawn("80" * 32, 0.5), is_drawn("7f" * 32, 0.5), is_drawn("ff" * 32, 1.0)
    (False, True, True)
    """
    return int(sample[:13], 16) < share * 16**13  # 52 bits: exact as a float


def answer_in_shadow(workspace: Workspace, shadow: Shadow, predictor: Predictor, answers: Sequence[Answer]) -> int:
    """Lets the candidate answer what the champion has answered, and keeps what both said of images new to the shadow.

    Vectors that are kept already, as the champion's are where both have the same extractor, are not computed again.
    An image that the candidate's extractor cannot use is left out, and nothing is kept once the shadow has ended.

    Returns:
        How many images were answered.

    Raises:
        NotFoundError, IntegrityError, StorageError: the images cannot be read, or the answers not be kept.
    """
    first = {item.sample: item for item in reversed(answers)}
    extractor = predictor.extractor
    with workspace.database.read() as connection:
        done = shadowed(connection, shadow.id, list(first))
        vectors = vectors_of(connection, extractor.fingerprint, [name for name in first if name not in done])
    missing = workspace.images.readers([name for name in first if name not in done and name not in vectors])
    stream = embed_stream(extractor, missing.items(), limits=workspace.limits, threads=1)  # others have live work
    made = {name: vector for name, vector in stream if not isinstance(vector, ImageError)}
    vectors |= made
    if not vectors:
        return 0
    shares = predictor.predict_vectors(np.stack(list(vectors.values())))
    best = shares.argmax(axis=1)
    found = [
        ShadowAnswer(
            sample=name,
            prediction=first[name].uid,
            champion=int(first[name].model.partition("@")[2]),
            champion_label=first[name].label,
            champion_confidence=first[name].confidence,
            label=predictor.classes[number],
            confidence=float(row[number]),
            at=first[name].at,
        )
        for name, number, row in zip(vectors, best.tolist(), shares, strict=True)
    ]
    with workspace.database.write() as connection:
        now = running_shadow(connection, shadow.name)
        if now is None or now.id != shadow.id:
            return 0
        keep_vectors(workspace.database, connection, extractor.fingerprint, made)
        add_shadow_answers(workspace.database, connection, shadow.id, found)
    return len(found)


def _since(item: ShadowAnswer, votes: Mapping[str, Sequence[Vote]]) -> list[Vote] | None:
    """What people said of the image since both answered; None where somebody had spoken before."""
    said = [
        vote for vote in votes.get(item.sample, ()) if vote.voter != KEEPER and vote.role in {*HEARD, Role.GROUND_TRUTH}
    ]
    return None if any(vote.at < item.at for vote in said) else said


def _judge(items: Sequence[ShadowAnswer], labels: Mapping[str, str | None]) -> Judged:
    told = [(item, label) for item in items if (label := labels[item.sample]) is not None]
    champion = sum(item.champion_label == label for item, label in told)
    candidate = sum(item.label == label for item, label in told)
    return Judged(len(told), champion, candidate, len(told) - champion - candidate, mcnemar(champion, candidate))


def _difference(name: str, item: ShadowAnswer, said: str | None) -> Difference:
    return Difference(
        sample=item.sample,
        prediction=item.prediction,
        champion=f"{name}@{item.champion}",
        champion_label=item.champion_label,
        champion_confidence=item.champion_confidence,
        label=item.label,
        confidence=item.confidence,
        said=said,
        at=item.at,
    )
