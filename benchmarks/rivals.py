"""What the server is measured against, each in a process of its own: bare loops, a plain endpoint, a plain refit.

python benchmarks/rivals.py bare BATCH AHEAD FOLDER            until SIGTERM; JSON: images, processor seconds
python benchmarks/rivals.py endpoint PORT                      FastAPI, Pillow and onnxruntime, until it is ended
python benchmarks/rivals.py tuned PORT                         the same, with the cheapest pixels
python benchmarks/rivals.py refit X.npz                        JSON: seconds of a linear layer by Adam
"""

from __future__ import annotations

import io
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, Request
from numpy.typing import NDArray
from PIL import Image
from starlette.concurrency import run_in_threadpool

from embedding import SCALE, SHIFT, run, session

EPOCHS, RATE, BATCH = 100, 1e-3, 32  # of the refit: the linear layer that the published system retrains


def pixels(data: bytes) -> NDArray[np.float32]:
    """Decode, resize, normalise: (3, 224, 224)."""
    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
    out = np.empty((3, 224, 224), np.float32)
    np.multiply(np.asarray(small).transpose(2, 0, 1), SCALE, out=out)
    out += SHIFT
    return out


def textbook(data: bytes) -> NDArray[np.float32]:
    """The same as it stands in every tutorial: (x / 255 - mean) / std, channels first."""
    with Image.open(io.BytesIO(data)) as image:
        small = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC))
    x = (small / 255.0 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    return np.ascontiguousarray(x.transpose(2, 0, 1).astype(np.float32))


def bare(size: int, ahead: int, images: list[bytes]) -> dict[str, float]:
    """Batches of so many through one session, so many batches being decoded meanwhile in a thread (0 for none).

    Until SIGTERM.
    """
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    model, pictures = session(1), cycle(images)

    def batch(part: list[bytes]) -> NDArray[np.float32]:
        return np.stack([pixels(data) for data in part])

    def batches() -> Iterator[NDArray[np.float32]]:
        if not ahead:
            while True:
                yield batch(list(islice(pictures, size)))
        with ThreadPoolExecutor(1) as pool:
            waiting = [pool.submit(batch, list(islice(pictures, size))) for _ in range(ahead)]
            while True:
                yield waiting.pop(0).result()
                waiting.append(pool.submit(batch, list(islice(pictures, size))))

    source = batches()
    for _ in range(2):
        run(model, next(source))
    print("ready", flush=True)
    done, cpu = 0, time.process_time()
    while not ended.is_set():
        done += len(run(model, next(source)))
    cpu = time.process_time() - cpu
    source.close()  # type: ignore[attr-defined]  # it is a generator, whose thread has to end
    return {"done": done, "cpu": cpu}


def endpoint(port: int, prepare: Callable[[bytes], NDArray[np.float32]]) -> None:
    """What one writes first: an upload, Pillow, onnxruntime, a dictionary.

    But for one thing: onnxruntime's default number of threads would give it a thread on a core that is not its own.
    """
    app, model = FastAPI(), session(1)

    def answer(data: bytes) -> dict[str, float]:
        vector = run(model, prepare(data)[None])[0]
        return {"norm": float(np.linalg.norm(vector))}  # there is no head to be had for less

    @app.post("/predict")
    async def predict(request: Request) -> dict[str, float]:
        return await run_in_threadpool(answer, await request.body())

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def refit(X: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    """Seconds that a linear layer takes by Adam on vectors (n, d) and their classes."""
    import torch

    torch.manual_seed(0)
    rows, labels = torch.from_numpy(X), torch.from_numpy(y)
    layer = torch.nn.Linear(X.shape[1], int(y.max()) + 1)
    steps = torch.optim.Adam(layer.parameters(), lr=RATE)
    began = time.perf_counter()
    for _ in range(EPOCHS):
        for part in torch.randperm(len(rows)).split(BATCH):
            steps.zero_grad()
            torch.nn.functional.cross_entropy(layer(rows[part]), labels[part]).backward()
            steps.step()
    return time.perf_counter() - began


def main() -> None:
    """See the module."""
    what, *rest = sys.argv[1:]
    found: Any
    if what == "bare":
        size, ahead, folder = rest
        images = [file.read_bytes() for file in sorted(Path(folder).rglob("*.jpg"))]
        found = bare(int(size), int(ahead), images)
    elif what == "refit":
        with np.load(rest[0]) as arrays:
            found = refit(arrays["X"], arrays["y"])
    else:
        endpoint(int(rest[0]), pixels if what == "tuned" else textbook)
        return
    print(json.dumps(found))


if __name__ == "__main__":
    main()
