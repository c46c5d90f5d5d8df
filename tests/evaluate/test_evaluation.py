from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pellucid.errors import DataError
from pellucid.evaluate.evaluation import Evaluation
from pellucid.evaluate.metrics import evaluate


def test_json_and_back_is_the_same(outcomes: Callable[..., Any]) -> None:
    y, proba = outcomes(30, 4)
    y = y % 3  # the fourth class has no test images
    evaluation = evaluate(y, proba, ["a", "b", "ü猫", "<d>"], slices={"site": ["x", "y", "z"] * 10, "one": ["1"] * 30})
    text = json.dumps(evaluation.to_dict(), allow_nan=False)
    assert Evaluation.from_dict(json.loads(text)) == evaluation


@pytest.mark.parametrize("damage", [{"n": None}, {"metrics": {"accuracy": {"valu": 1}}}, {"confusion": 3}])
def test_what_is_no_evaluation_is_refused(outcomes: Callable[..., Any], damage: dict[str, Any]) -> None:
    y, proba = outcomes(10, 2)
    data = evaluate(y, proba, ["a", "b"]).to_dict()
    with pytest.raises(DataError, match="evaluate again"):
        Evaluation.from_dict({**data, **damage})
    del data["slices"]
    with pytest.raises(DataError, match="slices"):
        Evaluation.from_dict(data)
