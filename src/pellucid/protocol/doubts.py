"""Which of Tuesday's labels a method doubts, and what becomes of them: the visible register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError
from pellucid.heads.kernel import KernelClassifier
from pellucid.heads.network import NetworkClassifier
from pellucid.heads.ridge import RidgeClassifier
from pellucid.protocol.desk import Desk, spread
from pellucid.protocol.method import Method

PASSES = 30  # of the network with dropout left on


@dataclass(frozen=True, slots=True, eq=False)
class Doubt:
    """What a method makes of Tuesday's labels."""

    labels: NDArray[np.intp]  # (n,) to be learnt
    trust: NDArray[np.float64]  # (n,) 0..1, how far they are believed; 0 leaves the row out
    suspicion: NDArray[np.float64] | None  # (n,) higher is more probably wrong; None where it gives no ranking


Doubter = Callable[[Desk, Method, NDArray[np.intp] | None], Doubt]


def none(desk: Desk, method: Method, truth: NDArray[np.intp] | None) -> Doubt:
    """Learn all labels as given; the ranking is that of the leave-one-out margin, which not every head has."""
    given = desk.problem.tuesday.y
    suspicion = None
    if method.labels == "given":
        head = desk.as_given(method.head, method.settings)
        if isinstance(head, RidgeClassifier | KernelClassifier):
            suspicion = -margin(head.loo_scores_[~desk.is_monday], given)
    return Doubt(given, np.ones(len(given)), suspicion)


def oracle(desk: Desk, method: Method, truth: NDArray[np.intp] | None) -> Doubt:
    """Drop exactly the wrong labels, by the truth: how far any filter could come."""
    if truth is None:
        raise DataError("the oracle filter needs the truth, and was given none")
    given = desk.problem.tuesday.y
    return Doubt(given, (given == truth).astype(np.float64), None)


def audited(desk: Desk, method: Method, truth: NDArray[np.intp] | None) -> Doubt:
    """Pellucid as it comes: Monday's labels are trusted, Tuesday's are audited, and what is believed is learnt."""
    return _audited(desk, () if desk.wide is None else (desk.wide,))


def audited_plainly(desk: Desk, method: Method, truth: NDArray[np.intp] | None) -> Doubt:
    """The same by the features that are learnt from alone."""
    return _audited(desk, ())


def _audited(desk: Desk, looks: tuple[NDArray[np.float32], ...]) -> Doubt:
    from pellucid.noise.auditing import Audit, audit
    from pellucid.noise.belief import believe

    def find() -> Audit:
        return audit(desk.features, desk.y, groups=desk.groups, trusted=desk.is_monday, looks=looks)

    found = desk.once(("audit", len(looks)), find)
    belief, rows = believe(found), ~desk.is_monday
    return Doubt(belief.labels[rows], belief.weight[rows], 1 - found.trust[rows])


def cleanlab(desk: Desk, method: Method, truth: NDArray[np.intp] | None) -> Doubt:
    """Drop what cleanlab's `find_label_issues` finds by cross-validated logistic regression; Monday stays whole.

    The ranking is cleanlab's normalised margin. C. Northcutt et al. (2021), "Confident learning", JAIR 70.
    """
    return _confident(desk, wide=False)


def cleanlab_widely(desk: Desk, method: Method, truth: NDArray[np.intp] | None) -> Doubt:
    """The same by a logistic regression that sees all that Pellucid's audit may see."""
    return _confident(desk, wide=True)


def _confident(desk: Desk, *, wide: bool) -> Doubt:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    p, rows = desk.held_out(wide=wide).probabilities, ~desk.is_monday
    issues = find_label_issues(desk.y, p, n_jobs=1)
    quality = get_label_quality_scores(desk.y, p, method="normalized_margin")
    return Doubt(desk.y[rows], np.where(issues[rows], 0.0, 1.0), -quality[rows])


def bayesian(desk: Desk, method: Method, truth: NDArray[np.intp] | None) -> Doubt:
    """Drop the tenth of Tuesday of which Monday's network is least sure, by MC dropout, as published.

    Labels play no part in it, so it finds unusual pictures rather than wrong labels.
    """
    from pellucid.noise.uncertainty import cut_off, uncertainty

    monday, tuesday = desk.whole.monday, desk.problem.tuesday
    head = desk.build(method.head, method.settings).fit(monday.X, monday.y)
    outputs = cast(NetworkClassifier, head).predict_samples(tuesday.X, PASSES, desk.problem.seed)
    unsure = uncertainty(outputs)
    return Doubt(tuesday.y, cut_off(unsure).astype(np.float64), unsure)


def small_loss(desk: Desk, method: Method, truth: NDArray[np.intp] | None) -> Doubt:
    """Drop the rows of Tuesday whose loss, under a network that learnt all labels as given, is of the upper kind.

    The losses are taken for a mixture of two Gaussians; networks fit right labels first. E. Arazo et al. (2019),
    "Unsupervised label noise modeling and loss correction", ICML; J. Li et al. (2020), "DivideMix", ICLR.
    """
    from sklearn.mixture import GaussianMixture

    tuesday = desk.problem.tuesday
    p = spread(desk.as_given(method.head, method.settings), tuesday.X, desk.problem.n_classes)
    loss = -np.log(np.maximum(p[np.arange(len(tuesday.y)), tuesday.y], 1e-6))
    if np.ptp(loss) == 0:
        return Doubt(tuesday.y, np.ones(len(loss)), loss)
    mixture = GaussianMixture(2, random_state=desk.problem.seed).fit(loss[:, None])
    upper = int(mixture.means_[:, 0].argmax())
    wrong = mixture.predict_proba(loss[:, None])[:, upper]
    return Doubt(tuesday.y, (wrong <= 0.5).astype(np.float64), loss)


def margin(scores: NDArray[np.float64], given: NDArray[np.intp]) -> NDArray[np.float64]:
    """The given class's score less the best other one's, (n,).

    >>> margin(np.array([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]]), np.array([0, 1])).round(1)
    array([ 0.5, -0.5])
    """
    rows = np.arange(len(given))
    others = scores.copy()
    others[rows, given] = -np.inf
    return np.asarray(scores[rows, given] - others.max(axis=1))


DOUBTS: Mapping[str, Doubter] = MappingProxyType(
    {
        "none": none,
        "oracle": oracle,
        "audit": audited,
        "audit-plain": audited_plainly,
        "cleanlab": cleanlab,
        "cleanlab-wide": cleanlab_widely,
        "uncertainty": bayesian,
        "loss": small_loss,
    }
)
# What a doubt needs beyond Pellucid's own.
LIBRARIES: Mapping[str, str] = MappingProxyType({"cleanlab": "cleanlab", "cleanlab-wide": "cleanlab"})
