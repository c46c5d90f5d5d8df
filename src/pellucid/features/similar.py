"""Near-duplicates: proposed by a hash, confirmed on pixels, grouped without chaining.

Two pictures count as near when they show the same thing in the same place: a copy that was resized,
recompressed or made brighter, or the next shot of a burst. Mirrored, rotated and cropped copies are different
pictures here.

- *Sketch*: 32 x 32 grey levels of the whole picture, so that all that follows costs the same for any
  photograph.
- *Proposed* by a 64-bit hash, the signs of the lowest cosine coefficients [1]_, and a sorted search: the
  hashes are sorted in eight rotations and each is compared with its next 32 [2]_. That is n log n whatever
  the data are: a thousand equal hashes cost no more than a thousand different ones.
- *Confirmed* on contrast-normalised pixels: the whole must agree, and so must its *detail* (what is left when
  a 5 x 5 mean is taken away), everywhere. Detail is what tells one blood cell from the next, where the round
  shape alone gives correlations of .98. A picture without detail (a black frame, a white wall) offers nothing
  to confirm and is never joined to another.
- *Grouped* as stars: every member is itself confirmed against its group's representative, so that A ~ B ~ C
  does not join A to C.

.. [1] C. Zauner (2010). Implementation and benchmarking of perceptual image hash functions.
.. [2] M. Charikar (2002). Similarity estimation techniques from rounding algorithms. STOC, section 3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import UsageError

SIDE = 32  # pixels, of a sketch
SKETCH_FROM = 128  # pixels: decode(data, at_least=SKETCH_FROM) keeps all that a sketch shows, at twice the speed
MAX_DISTANCE = 8  # of 64 bits; true pairs of photographs were seen to differ in at most 6
WINDOW = 32  # successors in sorted order that a hash is compared with
ENOUGH = 8  # proposals per image and rotation; larger groups are completed along confirmed pairs
MIN_DETAIL = 1.0  # grey levels of 255, standard deviation; below, there is nothing to recognise
MIN_MATCH = 0.95  # correlation, of the wholes and of their detail; the detail of different malaria cells reaches .88
MAX_LOCAL_MISS = 0.6  # rms difference of the detail in the worst 8 x 8 block, in standard deviations of the detail
BLOCK = 2048  # sketches or pairs worked on at once; bounds memory to some 60 MB


def sketch(image: Image.Image) -> bytes:
    """The whole picture squashed to 32 x 32 grey levels, each the mean of its area, row by row: 1,024 bytes.

    Pictures to be compared are decoded alike, best with ``at_least=SKETCH_FROM``.

    >>> sketch(Image.new("RGB", (640, 480), "white")) == b"\\xff" * 1024
    True
    """
    grey = image if image.mode == "L" else image.convert("L")
    return grey.resize((SIDE, SIDE), Image.Resampling.BOX).tobytes()


def perceptual_hash(sketch: bytes) -> int:
    """Signs of the 64 lowest cosine coefficients after the mean: 64 bits, near pictures differ in few.

    Raises UsageError where the sketch is not 1,024 bytes.

    >>> perceptual_hash(bytes(1024))
    0
    """
    return int(_hashes(_matrix([sketch]))[0])


def is_near(a: bytes, b: bytes) -> bool:
    """Whether two sketches show the same picture: the confirmation alone, whatever their hashes say.

    Symmetric, and true of a sketch and itself unless it is (nearly) blank. Raises UsageError where a sketch
    is not 1,024 bytes.

    >>> noise = np.random.default_rng(0).integers(0, 200, 1024, dtype=np.uint8)
    >>> is_near(noise.tobytes(), (noise + 40).tobytes()), is_near(noise.tobytes(), noise[::-1].tobytes())
    (True, False)
    >>> is_near(bytes(1024), bytes(1024))
    False
    """
    return bool(_confirm(_matrix([a, b]), np.array([[0, 1]]))[0])


def near_pairs(ids: Sequence[str], sketches: Sequence[bytes] | NDArray[np.uint8]) -> list[tuple[str, str]]:
    """Confirmed pairs as (smaller id, larger id), sorted.

    Complete for the handfuls of copies that real collections hold. Of a cluster of hundreds not every pair is
    listed, which would be quadratic, and equal sketches are paired with the smallest id among them only.

    Parameters
    ----------
    ids : n distinct names.
    sketches : n results of `sketch`, or their array of shape (n, 1024).

    Raises UsageError where an id repeats, or ids and sketches do not fit together.

    >>> rng = np.random.default_rng(0)
    >>> cat, dog = rng.integers(0, 200, (2, 1024), dtype=np.uint8)
    >>> near_pairs(["c", "b", "a"], np.stack([cat, dog, cat + 9]))
    [('a', 'c')]
    """
    collection = _Collection(ids, sketches)
    pairs = [(collection.copies[a][0], collection.copies[b][0]) for a, b in collection.pairs.tolist()]
    pairs += [(copies[0], other) for copies in collection.copies for other in copies[1:]]
    return sorted((min(pair), max(pair)) for pair in pairs)


def near_groups(ids: Sequence[str], sketches: Sequence[bytes] | NDArray[np.uint8]) -> list[str]:
    """For each id the name of its group: the smallest id in it, hence its own where nothing is near.

    The picture with most confirmed neighbours (of equals, the smallest id) becomes a representative and takes
    all that are confirmed against itself; then the next of those that are left. The result does not depend on
    the order of the input. Time grows as n log n; beside the sketches, memory stays under 150 MB for 100,000
    of them.

    Parameters and errors are those of `near_pairs`.

    >>> rng = np.random.default_rng(0)
    >>> cat, dog = rng.integers(0, 200, (2, 1024), dtype=np.uint8)
    >>> near_groups(["c", "b", "a"], np.stack([cat, dog, cat + 9]))
    ['a', 'b', 'a']
    """
    collection = _Collection(ids, sketches)
    neighbours: dict[int, list[int]] = {}
    for a, b in collection.pairs.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    copies = collection.copies
    weight = {a: len(copies[a]) + sum(len(copies[b]) for b in near) for a, near in neighbours.items()}
    group = {name: names[0] for names in copies for name in names}
    left = set(neighbours)
    for centre in sorted(neighbours, key=lambda node: (-weight[node], node)):
        if centre not in left:
            continue
        members = collection.star(centre, neighbours, left)
        left -= members
        title = min(copies[node][0] for node in members)
        group.update((name, title) for node in members for name in copies[node])
    return [group.get(name, name) for name in ids]


class _Collection:
    """Distinct sketches with detail, as nodes in the order of their smallest ids, and their near pairs."""

    def __init__(self, ids: Sequence[str], sketches: Sequence[bytes] | NDArray[np.uint8]) -> None:
        matrix = _matrix(sketches)
        if len(ids) != len(matrix):
            raise UsageError(f"{len(ids)} ids came with {len(matrix)} sketches; give one sketch for each id")
        if len(set(ids)) != len(ids):
            raise UsageError("an id was given twice; give each picture its own")
        blank = _detail_levels(matrix) < MIN_DETAIL
        equal: dict[bytes, list[int]] = {}
        for row in sorted(np.flatnonzero(~blank).tolist(), key=lambda row: ids[row]):
            equal.setdefault(hashlib.blake2b(matrix[row].data, digest_size=16).digest(), []).append(row)
        self.copies = [[ids[row] for row in rows] for rows in equal.values()]  # names by node, smallest first
        self._matrix = matrix
        self._row = np.array([rows[0] for rows in equal.values()], dtype=np.int64)
        proposed = _propose(_hashes(matrix)[self._row])
        self.pairs = proposed[_confirm(matrix, self._row[proposed])]

    def star(self, centre: int, neighbours: dict[int, list[int]], left: set[int]) -> set[int]:
        """The nodes of ``left`` that are reached along near pairs and confirmed against the centre itself."""
        members, seen, frontier = {centre}, {centre}, [centre]
        while frontier:
            reached = sorted(({b for a in frontier for b in neighbours[a]} & left) - seen)
            seen.update(reached)
            pairs = np.array([(centre, node) for node in reached], dtype=np.int64).reshape(-1, 2)
            near = _confirm(self._matrix, self._row[pairs])
            frontier = [node for node, yes in zip(reached, near, strict=True) if yes]
            members.update(frontier)
        return members


def _matrix(sketches: Sequence[bytes] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Sketches as one array of shape (n, 1024)."""
    if isinstance(sketches, np.ndarray):
        if sketches.dtype != np.uint8 or sketches.shape[1:] != (SIDE * SIDE,):
            raise UsageError(f"sketches are bytes of shape (n, 1024), not {sketches.dtype} of {sketches.shape}")
        return np.ascontiguousarray(sketches)
    for one in sketches:
        if len(one) != SIDE * SIDE:
            raise UsageError(f"a sketch has 1024 bytes, not {len(one)}; make it with pellucid.features.similar.sketch")
    return np.frombuffer(b"".join(sketches), np.uint8).reshape(-1, SIDE * SIDE)


@cache
def _cosines() -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """The cosine basis (frequency, position), and the flat places of the 64 coefficients, lowest first."""
    frequency = np.arange(SIDE // 2)
    basis = np.cos(np.pi / SIDE * frequency[:, None] * (np.arange(SIDE) + 0.5)).astype(np.float32)
    u, v = np.meshgrid(frequency, frequency, indexing="ij")
    lowest = np.lexsort((u.ravel(), abs(u - v).ravel(), (u + v).ravel()))
    return basis, lowest[1:65]


def _hashes(matrix: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """`perceptual_hash` of each row."""
    basis, lowest = _cosines()
    out = np.empty(len(matrix), dtype=np.uint64)
    for start in range(0, len(matrix), BLOCK):
        pixels = matrix[start : start + BLOCK].reshape(-1, SIDE, SIDE).astype(np.float32)
        pixels -= pixels.mean(axis=(1, 2), keepdims=True)
        coefficients = (basis @ pixels @ basis.T).reshape(len(pixels), -1)[:, lowest]
        octets = np.ascontiguousarray(np.packbits(coefficients > 0, axis=1))
        out[start : start + BLOCK] = octets.view(">u8")[:, 0]
    return out


def _propose(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs (a < b) of nearby hashes, shape (p, 2), p at most 64 n: see the module's second point."""
    n = len(hashes)
    found = [np.empty(0, dtype=np.int64)]
    for turn in range(0, 64, 8):
        turned = (hashes << np.uint64(turn)) | (hashes >> np.uint64((64 - turn) % 64))
        order = np.argsort(turned, kind="stable")
        ranked = hashes[order]
        proposals = np.zeros(n, dtype=np.int8)
        for step in range(1, min(WINDOW, n - 1) + 1):
            close = np.bitwise_count(ranked[:-step] ^ ranked[step:]) <= MAX_DISTANCE
            close &= proposals[:-step] < ENOUGH
            proposals[:-step] += close
            a, b = order[:-step][close], order[step:][close]
            found.append(np.minimum(a, b) * n + np.maximum(a, b))
    return np.stack(np.divmod(np.unique(np.concatenate(found)), max(n, 1)), axis=1)


def _detail(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a 5 x 5 mean leaves of pictures (n, 32, 32)."""
    from scipy.ndimage import uniform_filter

    smooth: NDArray[np.float32] = uniform_filter(pixels, size=(0, 5, 5), mode="nearest")
    return pixels - smooth


def _detail_levels(matrix: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Standard deviation of each row's detail, in grey levels."""
    out = np.empty(len(matrix), dtype=np.float32)
    for start in range(0, len(matrix), BLOCK):
        pixels = matrix[start : start + BLOCK].reshape(-1, SIDE, SIDE).astype(np.float32)
        out[start : start + BLOCK] = _detail(pixels).std(axis=(1, 2))
    return out


def _standard(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pictures (n, 32, 32) with mean 0 and standard deviation 1; a constant one stays all zero."""
    centred = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    spread = np.sqrt(np.einsum("nij,nij->n", centred, centred)[:, None, None]) / SIDE
    result: NDArray[np.float32] = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    return result


def _confirm(matrix: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`is_near` for each pair (p, 2) of rows."""
    out = np.zeros(len(pairs), dtype=np.bool_)
    for start in range(0, len(pairs), BLOCK):
        a, b = matrix[pairs[start : start + BLOCK].T].reshape(2, -1, SIDE, SIDE).astype(np.float32)
        alike = start + np.flatnonzero(_match(_standard(a), _standard(b)))
        a, b = _detail(a[alike - start]), _detail(b[alike - start])
        visible = np.minimum(a.std(axis=(1, 2)), b.std(axis=(1, 2))) >= MIN_DETAIL
        a, b = _standard(a), _standard(b)
        miss = ((a - b) ** 2).reshape(-1, 4, 8, 4, 8).mean(axis=(2, 4)).max(axis=(1, 2))
        out[alike] = visible & _match(a, b) & (miss <= MAX_LOCAL_MISS**2)
    return out


def _match(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether standardised pictures correlate."""
    products: NDArray[np.float32] = np.einsum("nij,nij->n", a, b)
    return products >= MIN_MATCH * SIDE**2
