"""Losses of a network's outputs: cross-entropy, and two that wrong labels pull at less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

GCE_Q = 0.7  # 0 is cross-entropy, 1 the mean absolute error
ANL_ALPHA = ANL_BETA = 5.0  # weights of the active and of the negative part, as published for ten classes
ANL_LEAST = 1e-7  # a probability below it is taken for it, so that the negative loss is bounded


def cross_entropy(log_p: Tensor, y: Tensor) -> Tensor:
    """-log p[y] of each row, (n,), from log probabilities (n, K)."""
    return -log_p.gather(1, y[:, None])[:, 0]


def generalised(log_p: Tensor, y: Tensor) -> Tensor:
    """(1 - p[y]^q) / q: Z. Zhang, M. Sabuncu (2018), "Generalized cross entropy loss", NeurIPS."""
    return (1 - (GCE_Q * log_p.gather(1, y[:, None])[:, 0]).exp()) / GCE_Q


def active_negative(log_p: Tensor, y: Tensor) -> Tensor:
    """alpha NCE + beta NNCE: X. Ye et al. (2023), "Active negative loss functions", NeurIPS.

    NCE = log p[y] / sum_k log p[k] is the normalised cross-entropy. NNCE = 1 - (A + log p[y]) / sum_k (A + log p[k])
    is the normalised negative one, with A the largest loss there can be; it only ever pushes the other classes down.
    """
    bounded = log_p.clamp(min=_log_least(log_p))
    own, largest = bounded.gather(1, y[:, None])[:, 0], -_log_least(log_p)
    active = log_p.gather(1, y[:, None])[:, 0] / log_p.sum(1)  # as it is: bounded, it would not pull where p[y] is tiny
    negative = 1 - (largest + own) / (largest + bounded).sum(1)
    return ANL_ALPHA * active + ANL_BETA * negative


def _log_least(log_p: Tensor) -> float:
    return float(log_p.new_tensor(ANL_LEAST).log())


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {"ce": cross_entropy, "gce": generalised, "anl-ce": active_negative}
)
