"""The model of rivals.py on LitServe, as its documentation has one write it: python lit_service.py PORT"""

import io
import sys
from typing import Annotated, Any

import litserve
from fastapi import Body
from PIL import Image

from peers import answer, session


class Api(litserve.LitAPI):  # type: ignore[misc]  # it has no types
    """The backbone on one thread."""

    def setup(self, device: str) -> None:
        """In the process that runs the model."""
        self.model = session()

    def decode_request(self, request: Annotated[bytes, Body()]) -> Image.Image:
        """The image is the request's body."""
        return Image.open(io.BytesIO(request))

    def predict(self, image: Image.Image) -> dict[str, Any]:
        """One image."""
        return answer(self.model, image)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        """As it is."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
