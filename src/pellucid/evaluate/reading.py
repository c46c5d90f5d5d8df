"""An evaluation in plain words: what it means, what to beware of, and what is mistaken for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid.evaluate.curve import SizePoint
from pellucid.evaluate.evaluation import Estimate, Evaluation

FEW_IMAGES = 100  # test images below which an interval is wide
FEW_PER_CLASS = 10  # test images of a class below which its recall says little
VAGUE = 0.15  # width of the calibration error's interval from which on it says nothing
FEW_GROUPS = 20  # groups below which resampling them is too sure of itself


@dataclass(frozen=True, slots=True)
class Confusion:
    """Images of one class that were taken for another."""

    true: str
    predicted: str
    count: int  # images
    share: float  # of the true class's test images, 0..1


def percent(value: float, digits: int = 1) -> str:
    """Write a share of 0..1 as people read it.

    >>> percent(0.8725)
    '87.2\\xa0%'
    """
    return f"{100 * value:.{digits}f}\N{NO-BREAK SPACE}%"


def between(estimate: Estimate) -> str:
    """Write the interval of a share.

    >>> between(Estimate(0.5, 0.25, 0.75))
    '25.0\\xa0% to 75.0\\xa0%'
    """
    return f"{percent(estimate.low)} to {percent(estimate.high)}"


def confusions(evaluation: Evaluation) -> tuple[Confusion, ...]:
    """List the pairs of classes that were mixed up, most frequent first, then in index order."""
    names = evaluation.classes
    pairs = [
        Confusion(names[i], names[j], count, count / sum(row))
        for i, row in enumerate(evaluation.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair.count))


def headline(evaluation: Evaluation) -> str:
    """Say in one or two sentences how good the model is, for someone who knows no statistics."""
    accuracy = evaluation.metrics["accuracy"]
    images = "1 test image" if evaluation.n == 1 else f"{evaluation.n:,} test images"
    return (
        f"Of {images}, the model names the right class for {percent(accuracy.value)}. "
        f"On more images like these, expect {between(accuracy)}."
    )


def strengths(evaluation: Evaluation) -> str:
    """Say which class is found best, which worst and what that is taken for; empty for fewer than two."""
    found = [(score.recall.value, score.name) for score in evaluation.per_class if score.recall is not None]
    if len(found) < 2:
        return ""
    best, worst = max(found, key=lambda pair: pair[0]), min(found, key=lambda pair: pair[0])
    if best[0] == worst[0]:
        return f"Every class is found equally well ({percent(best[0], 0)})."
    taken = next((pair for pair in confusions(evaluation) if pair.true == worst[1]), None)
    detour = f", which it most often takes for {taken.predicted}" if taken else ""
    top, bottom = percent(best[0], 0), percent(worst[0], 0)
    return f"It finds {best[1]} best ({top}) and {worst[1]} worst ({bottom}{detour})."


def calibration(evaluation: Evaluation) -> str:
    """Say whether the model's confidence can be taken at its word, and by how much it is off."""
    promised = sum(part.confidence * part.count for part in evaluation.reliability) / evaluation.n
    kept = evaluation.metrics["accuracy"].value
    error = evaluation.metrics["calibration_error"]
    facts = f"it promises {percent(promised)} on average and keeps {percent(kept)}"
    off = f"the typical confidence is off by {100 * error.value:.1f} points"
    if error.high - error.low > VAGUE:
        return f"These images are too few to tell how far its confidence can be trusted: {facts}."
    if error.low == 0:
        return f"Its confidence can be taken at its word, as far as these images tell: {facts}; {off}."
    if abs(promised - kept) < error.value / 3:
        return f"Its confidence is too high in some places and too low in others: {facts}; {off}."
    side = "overconfident" if promised > kept else "underconfident"
    return f"It is {side} by {100 * abs(promised - kept):.1f} points: {facts}; {off}."


def progress(points: Sequence[SizePoint]) -> str:
    """Say what the last step of a learning curve brought; empty where there is no step."""
    if len(points) < 2:
        return ""
    before, last = points[-2], points[-1]
    gain = 100 * (last.accuracy.value - before.accuracy.value)
    step = f"From {before.n:,} to {last.n:,} training images, test accuracy went {gain:+.1f} points"
    if gain >= 1.0:
        return f"{step}: the curve still rises, and more images should help."
    return f"{step}: the curve hardly rises any more, and better labels or features may bring more than more images."


def cautions(evaluation: Evaluation) -> tuple[str, ...]:
    """List what limits the trust in an evaluation; empty where nothing does."""
    found = []
    if evaluation.n < FEW_IMAGES:
        found.append(f"The test set has {evaluation.n} images only: the intervals are wide.")
    if evaluation.n_groups is not None and evaluation.n_groups < FEW_GROUPS:
        found.append(
            f"The test images form {evaluation.n_groups} independent groups only: the intervals may be too narrow."
        )
    missing = [score.name for score in evaluation.per_class if not score.support]
    few = [score.name for score in evaluation.per_class if 0 < score.support < FEW_PER_CLASS]
    if missing:
        found.append(f"No test images, so nothing is known about: {_list(missing)}.")
    if few:
        found.append(f"Fewer than {FEW_PER_CLASS} test images, so little is known about: {_list(few)}.")
    return tuple(found)


def _list(names: Sequence[str], most: int = 8) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
