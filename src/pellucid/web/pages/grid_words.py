"""What the models of the grid's form and their settings are, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pellucid.features.spec import short_spec

_LATER = "What people correct is kept, and learnt with the next training."
_MODELS: Mapping[str, str] = MappingProxyType(
    {
        "kernel": "The default: kernel ridge regression, which learns and forgets single images while it serves.",
        "ridge": "As kernel, with straight lines between the classes; learns and forgets single images too. A tenth of "
        "the file, a few points less accurate.",
        "logistic": f"Multinomial logistic regression. {_LATER}",
        "network": f"A small neural network; forgets what it is not shown again. {_LATER}",
        "slda": f"Discriminant analysis: one mean for each class and one spread; fast to train. {_LATER}",
        "hedge": "A network of which every layer answers, and those that answer well count more; to compare with. "
        f"{_LATER}",
    }
)
_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "lambda": "the penalty, above 0: higher is smoother; loo chooses it by leave-one-out",
        "landmarks": "training images that others are compared with, at most; more is slower",
        "epochs": "passes over the images, at most",
        "batch": "images a step",
        "rate": "the learning rate",
        "hidden": "units of a hidden layer, 0 for none",
        "depth": "hidden layers",
        "dropout": "share of inputs that are left out while learning, 0 to 1",
        "loss": "ce, gce or anl-ce; the last two bear wrong labels better",
        "shrinkage": "how far the spread is drawn towards a ball, above 0, at most 1",
        "discount": "how slowly bad layers lose weight, 0 to 1",
        "smoothing": "how much weight no layer loses, 0 to 1",
    }
)


def about_model(model: str) -> str:
    """What a head is; of one that is not built in, where it comes from.

    >>> about_model("sklearn:sklearn.naive_bayes.GaussianNB").partition(". ")[0]
    'Of scikit-learn; its documentation has the settings'
    """
    if model.startswith("sklearn:"):
        return f"Of scikit-learn; its documentation has the settings. {_LATER}"
    return _MODELS.get(model, "Your own class; its docstring tells of it.")


def about_settings(names: Iterable[str]) -> str:
    """What those settings are of which there is something to say.

    >>> about_settings(["batch", "var_smoothing"])
    'batch: images a step.'
    """
    said = "; ".join(f"{name}: {_SETTINGS[name]}" for name in names if name in _SETTINGS)
    return f"{said}." if said else ""


def about_extractor(extractor: str) -> str:
    """What an extractor is.

    >>> about_extractor("onnx:a.onnx")
    'onnx:a.onnx · a pretrained backbone'
    >>> about_extractor("classical")
    'classical · gradients, textures and colours; no weights'
    """
    what = "gradients, textures and colours; no weights" if extractor == "classical" else "a pretrained backbone"
    return f"{short_spec(extractor)} · {what}" if ":" in extractor or extractor == "classical" else extractor
