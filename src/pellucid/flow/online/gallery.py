"""Gallery: what the live model has learnt, to be shown beside an image as the reason for its answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pellucid.flow.online.live import LiveModel
from pellucid.noise.copies import unit

MOST = 20_000  # learnt images that an image is compared with; of more, so many evenly spread
_BLOCK = 1024  # vectors that are read at a time


@dataclass(frozen=True, slots=True)
class Near:
    """A learnt image that looks like another one."""

    sample: str
    label: str  # under which it is learnt
    similarity: float  # cosine of the two vectors, -1..1; higher is more alike


class Gallery:
    """The learnt images of one model as unit vectors: `nearest` from any thread. 100 MB for 20,000 of 1,280 numbers.

    What is learnt later is found too, as long as it is among the newest; labels are those of the moment.
    """

    def __init__(self, live: LiveModel, most: int = MOST) -> None:
        learnt = sorted(live.learnt())
        names = learnt[:: max(1, -(-len(learnt) // most))]
        self._live = live
        self._names = names
        self._places = {name: place for place, name in enumerate(names)}
        self._X = np.empty((len(names), live.predictor.extractor.dim), np.float32)
        for start in range(0, len(names), _BLOCK):
            block = slice(start, start + _BLOCK)
            with live.workspace.database.read() as connection:
                self._X[block] = unit(live.vectors.of(connection, names[block]))

    def nearest(
        self, x: NDArray[np.float32], k: int, *, without: str | None = None, label: str | None = None
    ) -> tuple[Near, ...]:
        """At most k learnt images, the most alike first.

        Args:
            x: (d,) the vector that they are compared with.
            without: a sample to leave out, as a rule the one itself.
            label: only those that are learnt under it.
        """
        direction = unit(np.asarray(x, np.float32)[None])[0]
        later = {name: v for name, v in self._live.recent().items() if name not in self._places}
        names = [*self._names, *later]
        similarity = self._X @ direction
        if later:
            similarity = np.concatenate([similarity, np.stack(list(later.values())) @ direction])
        found: list[Near] = []
        for place in np.argsort(-similarity, kind="stable").tolist():
            if len(found) == k:
                break
            stands = self._live.stands(names[place])
            if names[place] == without or stands.credit <= 0:  # without credit it is no evidence for its label
                continue
            learnt = self._live.label_at(stands)
            if learnt is not None and label in {None, learnt}:
                found.append(Near(names[place], learnt, float(np.clip(similarity[place], -1, 1))))
        return tuple(found)

    def nearest_to(self, sample: str, k: int, *labels: str | None) -> list[tuple[Near, ...]]:
        """The same beside a stored image, once for each label; None for any."""
        with self._live.workspace.database.read() as connection:
            (x,) = self._live.vectors.of(connection, [sample])
        return [self.nearest(x, k, without=sample, label=label) for label in labels]
