"""What lit_service.py and bento_service.py have in common: the model of rivals.py, without anything of Pellucid's.

They run in an environment of their own, whose python the variable ``PELLUCID_PEERS`` names: it has litserve, bentoml,
onnxruntime and Pillow, whose pins need not agree with Pellucid's.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

PEERS = {"litserve": "LitServe", "bentoml": "BentoML"}
PYTHON = "PELLUCID_PEERS"
MODEL = "PELLUCID_BENCH_MODEL"  # the weights; an environment variable reaches the processes that both start
SCALE = (1 / (255 * np.array([0.229, 0.224, 0.225]))).astype(np.float32)[:, None, None]
SHIFT = (-np.array([0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).astype(np.float32)[:, None, None]


def versions() -> dict[str, str]:
    """Those that are there to be measured, with their versions; none without the environment."""
    if not (python := os.environ.get(PYTHON)):
        return {}
    ask = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    done = {name: subprocess.run([python, "-c", ask, name], capture_output=True, text=True) for name in PEERS}
    return {name: item.stdout.strip() for name, item in done.items() if item.returncode == 0}


def command(name: str, port: int) -> list[str]:
    """What starts one of them, in this folder."""
    bento = ["-m", "bentoml", "serve", "bento_service:Service", "--host", "127.0.0.1", "--port", str(port)]
    return [os.environ[PYTHON], *(bento if name == "bentoml" else ["lit_service.py", str(port)])]


def session() -> Any:
    """The backbone on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(os.environ[MODEL], options, providers=["CPUExecutionProvider"])


def answer(model: Any, image: Image.Image) -> dict[str, float]:
    """What the plain endpoint of rivals.py answers, by the same steps."""
    small = image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    pixels: NDArray[np.float32] = np.empty((3, 224, 224), np.float32)
    np.multiply(np.asarray(small).transpose(2, 0, 1), SCALE, out=pixels)
    pixels += SHIFT
    return {"norm": float(np.linalg.norm(model.run(None, {"pixels": pixels[None]})[0]))}
