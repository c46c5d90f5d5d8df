"""The visible register of methods, and what the options of the published system make of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from types import MappingProxyType

from pellucid.errors import UsageError
from pellucid.heads.head import available_heads
from pellucid.protocol.doubts import LIBRARIES as DOUBTS_NEED
from pellucid.protocol.memories import MEMORIES
from pellucid.protocol.method import ALL, Method

_NETWORK = (("dropout", 0.5), ("rate", 0.001))  # the best of 0.001, 0.003 and 0.01 for most of the losses
_PERCEPTRON = "sklearn:sklearn.neural_network.MLPClassifier"
_TUNED = (("lambda", "tuned"),)

# All of them with all of Monday; each also runs with another memory, as NAME@MEMORY.
METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method(
                "pellucid", "what is believed after the audit, Monday trusted; kernel ridge", "kernel", doubt="audit"
            ),
            Method("monday-only", "kernel ridge that never learns from Tuesday", "kernel", labels="none"),
            Method("noisy", "kernel ridge on the labels as given", "kernel"),
            Method("oracle-filter", "kernel ridge without the wrong labels, by the truth", "kernel", doubt="oracle"),
            Method("truth", "kernel ridge on the true labels", "kernel", labels="truth"),
            Method(
                "cleanlab", "confident learning drops labels (Northcutt 2021); kernel ridge", "kernel", doubt="cleanlab"
            ),
            Method("pellucid-plain", "as pellucid, by the learnt features alone", "kernel", doubt="audit-plain"),
            Method("cleanlab-wide", "as cleanlab, by all that pellucid sees", "kernel", doubt="cleanlab-wide"),
            Method("pellucid-ridge", "as pellucid, with ridge", doubt="audit"),
            Method("noisy-ridge", "ridge on the labels as given"),
            Method("truth-ridge", "ridge on the true labels", labels="truth"),
            Method("cleanlab-ridge", "as cleanlab, with ridge", doubt="cleanlab"),
            Method("network", "a linear layer by Adam, with dropout", "network", _NETWORK),
            Method("gce", "generalised cross entropy (Zhang 2018)", "network", (("loss", "gce"), *_NETWORK)),
            Method("anl-ce", "active negative loss (Ye 2023)", "network", (("loss", "anl-ce"), *_NETWORK)),
            Method(
                "small-loss", "drops the rows that a network fits late (Arazo 2019)", "network", _NETWORK, doubt="loss"
            ),
            Method("mlp", "a perceptron of one hidden layer", _PERCEPTRON, (("early_stopping", True),)),
            Method("hedge", "hedge backpropagation (Sahoo 2018)", "hedge"),
            Method("slda", "streaming discriminant analysis (Hayes 2020)", "slda"),
            Method("bayesian", "a network's cut-off by MC dropout (BCCP)", "network", _NETWORK, doubt="uncertainty"),
            Method("logistic", "logistic regression, its penalty tuned on the labels as given", "logistic", _TUNED),
        )
    }
)

ALWAYS = ("pellucid", "monday-only", "noisy", "oracle-filter", "truth")  # rows without which no table can be read

# The rows of a full table beside METHODS: what is left where a fifth of Monday has to do.
WITH_PART = (
    *("pellucid@random", "noisy@random", "truth@random", "cleanlab@random", "anl-ce@random"),
    *("bayesian@cosine", "network@cosine"),  # as published, with the cut-off and without
)

# Heads that say by MC dropout how uncertain they are.
_DROPPING = ("network",)

_NEEDS: Mapping[str, str] = MappingProxyType({"network": "torch"})  # head -> library


def choose_methods(names: Sequence[str], *, ratio: float) -> tuple[Method, ...]:
    """The methods of these names and those that are always there; the whole register for no name.

    ``ratio``, 0..1, is the share of Monday that is kept by those that do not keep all of it.

    Raises UsageError for an unknown name.

    >>> [method.name for method in choose_methods(["logistic@random"], ratio=0.2)][-2:]
    ['truth', 'logistic@random']
    """
    if not 0 <= ratio <= 1:
        raise UsageError(f"the ratio is {ratio:g}; wanted is the share of Monday that is kept, 0 to 1")
    wanted = dict.fromkeys([*ALWAYS, *(names or (*METHODS, *WITH_PART))])
    return tuple(replace(find_method(name), ratio=ratio) for name in wanted)


def find_method(name: str) -> Method:
    """The method ``NAME`` or ``NAME@MEMORY``; raises UsageError where there is none."""
    base, at, memory = name.partition("@")
    if base not in METHODS:
        near = difflib.get_close_matches(base, METHODS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(METHODS)}"
        raise UsageError(f"there is no method {base!r}; {hint}")
    if not at:
        return METHODS[base]
    if memory not in MEMORIES:
        raise UsageError(f"{name!r} keeps Monday by {memory!r}; there are {', '.join(MEMORIES)}")
    if METHODS[base].labels == "none" and memory == "none":
        raise UsageError(f"{name!r} would learn from neither day; keep something of Monday")
    return METHODS[base] if memory == ALL else METHODS[base].keeping(memory)


def compose(model: str, *, cutoff: bool, sampling: str, ratio: float) -> Method:
    """The published system's options as a method: a model, whether it cuts off, and what it keeps of Monday.

    ``model`` is a name of METHODS, whose head is taken, or the specification of a head.

    Raises UsageError for an unknown sampling, and for a cut-off of a model that cannot say how uncertain it is.

    >>> compose("logistic", cutoff=False, sampling="random", ratio=0.2).name
    'logistic@random'
    """
    base = METHODS.get(model)
    if base is None:
        known = [*METHODS, *available_heads()]
        if model.partition(":")[0] not in known and ":" not in model:
            near = difflib.get_close_matches(model, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(dict.fromkeys(known))}"
            raise UsageError(f"there is no model {model!r}; {hint}")
        base = Method(model, "this head on the labels as given", head=model)
    if sampling not in MEMORIES:
        raise UsageError(f"there is no sampling {sampling!r}; there are {', '.join(MEMORIES)}")
    if cutoff:
        if not _can_cut(base):
            wanted = ", ".join(name for name, method in METHODS.items() if _can_cut(method)) or "none in this version"
            raise UsageError(f"model {model!r} cannot cut off by MC dropout; those that can: {wanted}")
        base = replace(base, name=f"{base.name}+cutoff", doubt="uncertainty")
    return replace(base if sampling == ALL else base.keeping(sampling), ratio=ratio)


def _can_cut(method: Method) -> bool:
    return method.head in _DROPPING and method.labels == "given" and method.doubt == "none"


def missing_library(method: Method) -> str | None:
    """The library that the method needs and that is not installed; None where nothing is missing."""
    needed = [DOUBTS_NEED.get(method.doubt), _NEEDS.get(method.head.partition(":")[0])]
    return next((name for name in needed if name and find_spec(name) is None), None)
