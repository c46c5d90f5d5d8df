"""Predict: files to answers, by the champion or any other model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from pellucid.errors import ImageError, NotFoundError, UsageError
from pellucid.flow.data.embed import fill_cache
from pellucid.flow.training.predictor import Predictor, load_predictor
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.store.aliases import CHAMPION
from pellucid.store.blobs import digest_of
from pellucid.store.datasets import dataset_names
from pellucid.store.models import get_model, list_models
from pellucid.store.predictions import add_predictions
from pellucid.store.samples import chunked
from pellucid.store.sources.names import is_image
from pellucid.store.vectors import VectorCache
from pellucid.types import ModelVersion, Prediction

_CHUNK = 2048  # files that are answered together


def predict(
    workspace: Workspace,
    paths: Iterable[str | Path],
    *,
    model: str | None = None,
    record: bool = True,
    progress: Progress = no_progress,
) -> Iterator[Prediction]:
    """Answers for each image file, in the order of the paths; folders stand for the images in and below them.

    An image that cannot be used gets an answer with an ``error`` and no label, and does not stop the rest.

    Args:
        model: ``NAME``, ``NAME@champion`` or ``NAME@VERSION``; the champion of the only dataset where None.
        record: whether the answers are kept, so that ``datasets lineage --impact`` finds them.

    Raises:
        NotFoundError: a path or the model does not exist, or there is no champion yet.
    """
    chosen = choose_model(workspace, model)
    predictor = open_predictor(workspace, chosen)
    files = list(expand_paths(paths))
    cache = VectorCache(workspace.cache / "vectors", predictor.extractor.fingerprint, predictor.extractor.dim)
    done = 0
    for chunk in chunked(files, _CHUNK):

        def tell(what: str, n: int, total: int | None, before: int = done) -> None:
            progress("predicting", before + n, len(files))

        answers = _answer(workspace, chosen, predictor, cache, chunk, tell)
        if record:
            with workspace.database.write() as connection:
                add_predictions(connection, chosen, answers)
        done += len(chunk)
        progress("predicting", done, len(files))
        yield from answers


def wait_for_champion(workspace: Workspace, name: str | None, *, tell: Callable[[str], None]) -> None:
    """Returns once there is a champion of that name; ``tell`` is told once why there is none yet.

    Raises:
        UsageError: none was named and there are several to choose from.
    """
    told = False
    while True:
        try:
            choose_model(workspace, f"{choose_model(workspace, name).name if name is None else name}@{CHAMPION}")
            return
        except NotFoundError as error:
            if not told:
                tell(str(error))
            told = True
        time.sleep(workspace.settings.poll_seconds)


def choose_model(workspace: Workspace, ref: str | None) -> ModelVersion:
    """The model that is meant.

    Raises:
        NotFoundError: it does not exist.
        UsageError: none was named and there are several to choose from.
    """
    with workspace.database.read() as connection:
        if ref is None:
            names = sorted({item.name for item in list_models(connection)}) or dataset_names(connection)
            if len(names) > 1:
                raise UsageError(f"several models could be meant: {', '.join(names)}; choose one with --model NAME")
            if not names:
                raise NotFoundError("the project has no model yet; `pellucid ingest` and `pellucid train` make one")
            ref = names[0]
        return get_model(connection, ref)


def open_predictor(workspace: Workspace, model: ModelVersion) -> Predictor:
    """The model, loaded and checked.

    Raises:
        IntegrityError, NotFoundError: a file of it was damaged, edited or removed.
    """
    folder = workspace.artifacts.fetch_folder("models", model.id, workspace.cache / "models")
    return load_predictor(folder, model.id, partial(fetch_weights, workspace), trusted=True)


def fetch_weights(workspace: Workspace, digest: str) -> Path:
    """A local file with the extractor's weights of that sha256."""
    return workspace.blobs.local_copy("weights", digest, workspace.cache / "weights")


def expand_paths(paths: Iterable[str | Path]) -> Iterator[Path]:
    """The files named; folders stand for all image files in and below them, sorted.

    Raises:
        NotFoundError: a path does not exist.
    """
    for path in map(Path, paths):
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if is_image(file.name) and file.is_file())
            if not found:
                raise NotFoundError(f"{path} holds no image file; wanted are JPEG, PNG, WebP, BMP, GIF or TIFF")
            yield from found
        elif path.exists():
            yield path
        else:
            raise NotFoundError(f"{path} does not exist; name a file, a folder, or '-' for a list of them on stdin")


def _answer(
    workspace: Workspace,
    model: ModelVersion,
    predictor: Predictor,
    cache: VectorCache,
    files: Sequence[Path],
    progress: Progress,
) -> list[Prediction]:
    names: dict[Path, str] = {}
    errors: dict[Path, str] = {}
    for file in files:
        try:
            names[file] = digest_of(read_bounded(file, workspace.limits.max_bytes))
        except ImageError as error:
            errors[file] = str(error)
    sources = {name: partial(_read_same, file, name, workspace.limits.max_bytes) for file, name in names.items()}
    failed = fill_cache(workspace, predictor.extractor, cache, sources, progress=progress)
    good = [name for name in sources if name not in failed]
    probabilities = dict(zip(good, predictor.predict_vectors(cache.gather(good)), strict=True))
    answers = []
    for file in files:
        name = names.get(file)
        if name is None or name in failed:
            reason = errors[file] if name is None else str(failed[name])
            answers.append(Prediction(str(file), name, None, None, {}, model.ref, reason))
        else:
            row = probabilities[name]
            best = int(row.argmax())
            shares = dict(zip(predictor.classes, map(float, row), strict=True))
            answers.append(Prediction(str(file), name, predictor.classes[best], float(row[best]), shares, model.ref))
    return answers


def _read_same(path: Path, digest: str, max_bytes: int) -> bytes:
    """The bytes that had the digest a moment ago, so that no vector is ever kept under another image's name."""
    data = read_bounded(path, max_bytes)
    if digest_of(data) != digest:
        raise ImageError("changed", f"{path} was written to while it was being read; predict it again")
    return data


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The file's bytes, of which there are at most ``max_bytes``.

    Raises:
        ImageError: there are more, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ImageError("unreadable", f"{path} cannot be read: {error.strerror}") from None
    if len(data) > max_bytes:
        raise ImageError("too large", f"{path} has more than {max_bytes} bytes; raise max_image_bytes to take it")
    return data
