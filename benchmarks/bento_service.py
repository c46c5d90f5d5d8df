"""The model of rivals.py on BentoML, as its documentation has one write it: bentoml serve bento_service:Service"""

from typing import Any

import bentoml
from PIL.Image import Image

from peers import answer, session


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Service:
    """The backbone on one thread."""

    def __init__(self) -> None:
        self.model = session()

    @bentoml.api(route="/predict")  # type: ignore[untyped-decorator]  # it has no types
    def predict(self, image: Image, /) -> dict[str, Any]:
        """The image is the request's body."""
        return answer(self.model, image)
