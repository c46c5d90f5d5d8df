"""What the grid's form says of a model is what the model can do."""

from __future__ import annotations

import pytest

from pellucid.heads.head import build_head
from pellucid.heads.online import learns_online
from pellucid.web.pages.grid_words import about_model


@pytest.mark.parametrize("model", ["kernel", "ridge", "logistic", "slda", "hedge"])
def test_the_form_and_the_promotion_agree_on_who_learns_while_serving(model: str) -> None:
    later = about_model(model).endswith("learnt with the next training.")
    assert later is not learns_online(build_head(model, {}, seed=0))
