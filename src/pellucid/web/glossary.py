"""What the words of the tables mean, where they stand first; folded away from those who know them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nicegui import ui

from pellucid.web.parts import Words

_TERMS: Mapping[str, str] = MappingProxyType(
    {
        "Accuracy": "share of the test images that the model names as they are labelled",
        "95 % interval": "where the figure lies 19 times in 20, if other images of the same kind were drawn; the fewer "
        "test images, the wider",
        "Balanced accuracy": "the same with every class counting as much, however many images it has",
        "Macro F1": "how well each class is found and how seldom it is said wrongly, 0 to 100 %, averaged over the "
        "classes, so that a rare class counts as much as a common one",
        "Log loss": "how far the stated probabilities are from the truth: 0 is perfect, and being sure and wrong costs "
        "most",
        "Calibration error": "how far the stated confidence is from how often the model is right, 0 % is perfect",
        "Head": "the part that learns: it turns the numbers that the extractor sees into a class",
        "loo": "the setting is chosen by leave-one-out: each training image is judged by a model without it",
        "Gate": "judges a model against the champion on trusted images, before it may take its place; – where it was "
        "not asked",
        "Paired test": "both models answer the same images, and only those count that one of them alone gets right",
        "p value": "how often chance alone would show as much (exact McNemar test, as with a coin thrown for each of "
        "those images): 1 means no difference at all, below 0.05 is taken for one",
        "Recall": "share of a class's images that are found",
    }
)


def glossary(*terms: str) -> None:
    """A list that unfolds, of these terms."""
    with ui.element("details").classes("legend"):
        Words("What the words mean", tag="summary")
        with ui.element("dl"):
            for term in terms:
                Words(term, tag="dt")
                Words(_TERMS[term], tag="dd")
