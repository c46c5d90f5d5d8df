"""The model card: what a model is, what it was made of, how good it is and where it fails, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.evaluate.evaluation import ClassScore, Estimate
from pellucid.flow.training.learn import Learnt, Material
from pellucid.types import Status

_WEAKEST = 3  # classes that are named as those where it fails most


def model_card(facts: Mapping[str, Any], learnt: Learnt, material: Material) -> str:
    """The card as Markdown (Mitchell et al. 2019, *Model Cards for Model Reporting*)."""
    evaluation = learnt.evaluation
    metrics = "\n".join(
        f"| {name.replace('_', ' ')} | {item.value:.3f} | {item.low:.3f} to {item.high:.3f} |"
        for name, item in evaluation.metrics.items()
    )
    counts = Counter(int(label) for label in material.train.y)
    classes = "\n".join(
        f"| {_cell(score.name)} | {counts[index]} | {score.support} | {_share(score.recall)} |"
        for index, score in enumerate(evaluation.per_class)
    )
    aside = Counter(str(row.status) for row in material.rows if row.status is not Status.OK)
    left_out = ", ".join(f"{count} {status}" for status, count in sorted(aside.items()))
    settings = ", ".join(f"{key} = {value}" for key, value in facts["settings"].items()) or "the defaults"
    return f"""# {facts["head"]}, trained on dataset version {facts["dataset"]}

**What it is.** `{facts["head"]}` ({settings}) on the vectors of `{learnt.predictor.extractor.spec}`:
{learnt.predictor.extractor.description}

**What it was made of.** Dataset version `{facts["dataset"]}` (content {facts["content_id"][:12]}):
{len(material.train.rows)} training images, {evaluation.n} test images{left_out and f"; not learnt from: {left_out}"}.

**How good it is**, on the test images, with 95 % intervals:

| metric | value | interval |
|---|---|---|
{metrics}

| class | training images | test images | recall |
|---|---|---|---|
{classes}

**Where it fails most**: {_weakest(evaluation.per_class)}

**What it is not for.** It knows the classes above and nothing else: any other picture is given one of them too.
It was judged on images drawn like its training images; other cameras, light or seasons are another matter.
"""


def _weakest(scores: Sequence[ClassScore]) -> str:
    """The classes with mistakes, the worst first; three at most."""
    faulty = sorted(
        (score.recall.value, _cell(score.name))
        for score in scores
        if score.recall is not None and score.recall.value < 1
    )
    if not faulty:
        return "nowhere yet: it made no mistake on the test images, which does not say that it makes none."
    return f"{', '.join(f'{name} (recall {value:.3f})' for value, name in faulty[:_WEAKEST])}."


def _share(recall: Estimate | None) -> str:
    return "no test images" if recall is None else f"{recall.value:.3f}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
