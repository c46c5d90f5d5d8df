"""The model card: what a model is, what it was made of, how good it is and where it fails, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pellucid.evaluate.evaluation import Estimate
from pellucid.flow.learn import Learnt, Material
from pellucid.types import Status


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
    left_out = ", ".join(f"{count} {status}" for status, count in sorted(aside.items())) or "none"
    settings = ", ".join(f"{key} = {value}" for key, value in facts["settings"].items()) or "the defaults"
    weakest = [score for score in evaluation.per_class if score.recall is not None]
    weakest = sorted(weakest, key=lambda score: score.recall.value if score.recall else 1.0)[:3]
    return f"""# {facts["dataset"]}: {facts["head"]}

**What it is.** `{facts["head"]}` ({settings}) on the vectors of `{learnt.predictor.extractor.spec}`:
{learnt.predictor.extractor.description}

**What it was made of.** Dataset version `{facts["dataset"]}` (content {facts["content_id"][:12]}):
{len(material.train.rows)} training images, {evaluation.n} test images, not learnt from: {left_out}.

**How good it is**, on the test images, with 95 % intervals:

| metric | value | interval |
|---|---|---|
{metrics}

| class | training images | test images | recall |
|---|---|---|---|
{classes}

**Where it fails most**: {", ".join(_cell(score.name) for score in weakest)}. The report shows the pictures.

**What it is not for.** It knows the classes above and nothing else: any other picture is given one of them too.
It was judged on images drawn like its training images; other cameras, light or seasons are another matter.
"""


def _share(recall: Estimate | None) -> str:
    return "no test images" if recall is None else f"{recall.value:.3f}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
