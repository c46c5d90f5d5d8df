"""The two rules that draw a line: at the model's own opinion, and at a fixed share."""

from __future__ import annotations

import numpy as np

from pellucid.noise.evidence import Evidence, Verdict

PUBLISHED_SHARE = 0.1  # above the 90th percentile of uncertainty


def argmax(evidence: Evidence) -> Verdict:
    """Suspect where the model holds another class for more likely than the given one.

    Trust is the model's probability of the given label. Every error of the model's counts as one of the label's.
    """
    suspect = (evidence.margin < 0) & ~evidence.trusted
    return Verdict("argmax", evidence.p, suspect, "the model holds another class for more likely", counted=True)


def percentile(evidence: Evidence) -> Verdict:
    """Suspect the tenth of the lowest margins, as the published cut-off drops the most uncertain tenth.

    Trust is the model's probability of the given label. Ties at the line are kept. The share is the same whether
    no label is wrong or half of them.
    """
    margin = evidence.margin
    judged = margin[~evidence.trusted]
    line = np.quantile(judged, PUBLISHED_SHARE) if len(judged) else -np.inf
    suspect = (margin < line) & ~evidence.trusted
    return Verdict("percentile", evidence.p, suspect, f"the lowest {PUBLISHED_SHARE:.0%} of the margins", counted=True)
