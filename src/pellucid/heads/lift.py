"""A lift: features in which ridge can bend, from the likeness of each row to landmarks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from pellucid.heads.statistic import blocks, unit

Real = TypeVar("Real", bound=np.floating)

GAMMA = 1.0  # of exp(-gamma |x - z|^2) between rows of unit length
_FLAT = 1e-7  # eigenvalues below this share of the largest say nothing but rounding


@dataclass(frozen=True, slots=True, eq=False)
class Lift:
    """phi(x) = P' k(x), with k the likeness of x to each landmark: as many dimensions as landmarks, at most.

    The likeness is Gaussian, k(x, z) = exp(-gamma |x - z|^2) of rows of unit length, and P = U / sqrt(S) of the
    landmarks' own K = U S U', so that phi(x) phi(z)' = k(x, z) where either is a landmark, and nearly so elsewhere
    (C. Williams, M. Seeger (2001), "Using the Nystroem method to speed up kernel machines", NIPS).
    """

    landmarks: NDArray[np.float32]  # (m, d) rows of unit length
    projection: NDArray[np.float32]  # P (m, r)
    # Made once, because to turn millions of numbers, or to widen them, takes longer than lifting a row.
    _turned: NDArray[np.float32] = field(init=False, repr=False)  # P' (r, m), row by row
    _exact: tuple[NDArray[np.float64], NDArray[np.float64]] = field(init=False, repr=False)  # both in double precision
    _squares: NDArray[np.float64] = field(init=False, repr=False)  # (m,) |z|^2 of the landmarks: 1, or 0 of zeros

    def __post_init__(self) -> None:
        for name in ("landmarks", "projection"):  # products round by layout: one, fitted or loaded
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name)))
        object.__setattr__(self, "_turned", np.ascontiguousarray(self.projection.T))
        landmarks = self.landmarks.astype(np.float64)
        object.__setattr__(self, "_exact", (landmarks, self.projection.astype(np.float64)))
        object.__setattr__(self, "_squares", np.einsum("ij,ij->i", landmarks, landmarks))

    @classmethod
    def on(cls, X: NDArray[np.floating], most: int, seed: int) -> Self:
        """A lift on at most so many of the different rows of X (n, d); all of them where there are no more.

        They are drawn evenly by the seed and each row's content, so that the order of the rows does not matter.
        """
        landmarks = unit(X).astype(np.float32) + np.float32(0)  # no -0, which is another content
        if len(X) > most:
            landmarks = landmarks[np.unique(_lots(landmarks, seed), return_index=True)[1][:most]]
        landmarks = np.unique(landmarks, axis=0)
        values, vectors = np.linalg.eigh(_likeness(landmarks, landmarks))
        told = values > _FLAT * values[-1]
        return cls(landmarks, (vectors[:, told] / np.sqrt(values[told])).astype(np.float32))

    def __call__(self, X: NDArray[np.floating]) -> NDArray[np.float64]:
        """Rows X (n, d) lifted, (n, r).

        >>> lift = Lift.on(np.eye(3), 10, seed=0)
        >>> lifted = lift(np.eye(3))
        >>> (lifted @ lifted.T).round(3)[0].tolist()
        [1.0, 0.135, 0.135]
        """
        landmarks, projection = self._exact
        lifted = np.empty((len(X), projection.shape[1]))
        for rows in blocks(len(X)):
            x = unit(X[rows])
            squares = np.einsum("ij,ij->i", x, x)[:, None] + self._squares
            lifted[rows] = _gauss(squares - 2 * x @ landmarks.T) @ projection
        return lifted

    def nearly(self, X: NDArray[np.floating]) -> NDArray[np.float32]:
        """The same in single precision, some 1e-5 of unit length off, in a tenth of the time: to answer, not to learn.

        >>> lift = Lift.on(np.eye(3), 10, seed=0)
        >>> bool(np.allclose(lift.nearly(np.eye(3)), lift(np.eye(3)), atol=1e-5))
        True
        """
        lifted = np.empty((len(X), self.projection.shape[1]), np.float32)
        for rows in blocks(len(X)):
            x = unit(X[rows])
            squares = np.einsum("ij,ij->i", x, x)[:, None] + self._squares
            # The large matrix on the left and row by row: for a few rows BLAS takes half as long again otherwise.
            near = squares.astype(np.float32) - 2 * (self.landmarks @ x.astype(np.float32).T).T
            lifted[rows] = (self._turned @ _gauss(near).T).T
        return lifted


def _lots(rows: NDArray[np.float32], seed: int) -> NDArray[np.uint64]:
    """A number for each row (n,), as good as drawn by chance; the same for the same row and seed."""
    key = hashlib.sha256(str(seed).encode()).digest()
    lots = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8, key=key).digest() for row in rows)
    return np.frombuffer(lots, dtype=">u8").astype(np.uint64)


def _likeness(rows: NDArray[np.float32], landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    rows64, landmarks64 = rows.astype(np.float64), landmarks.astype(np.float64)
    squares = np.square(rows64).sum(axis=1)[:, None] + np.square(landmarks64).sum(axis=1)
    return _gauss(squares - 2 * rows64 @ landmarks64.T)


def _gauss(distances: NDArray[Real]) -> NDArray[Real]:
    """exp(-gamma d) of squared distances, in their own precision."""
    return np.asarray(np.exp(-GAMMA * np.maximum(distances, 0)))
