"""The gallery of failures: the mistakes made with most confidence, beside the training images that lie nearest."""

from __future__ import annotations

from nicegui import ui

from pellucid.flow.training.runs import Mistake, worst_mistakes
from pellucid.web.formats import share
from pellucid.web.pages.runs import choose, registry_for
from pellucid.web.parts import Words, card, empty, picture
from pellucid.web.view import View, told

_MOST = 24  # mistakes that are shown


async def build(view: View) -> None:
    """The content of this part of the page."""
    registry = await registry_for(view, "model")
    if registry is None:
        empty("image_search", "No model to look at yet", "Train one first, on the second tab.")
        return
    ref = view.query.get("model") or (registry.champion or registry.models[0]).ref
    with ui.element("div").classes("row pickers"):
        choose("Model", registry, ref, lambda chosen: f"/training?view=mistakes&model={chosen}")
    box = ui.element("div")
    with box:
        Words(f"Model {ref} answers its test images …", "note").props('role="status"')

    async def fill() -> None:
        try:
            found = await view.desk.cached(worst_mistakes, ref, _MOST, slow=True)
        finally:
            box.clear()
        with box:
            _show(ref, found)

    ui.timer(0.01, told(fill), once=True)


def _show(ref: str, found: tuple[Mistake, ...]) -> None:
    if not found:
        empty("task_alt", "No mistake on the test images", f"Model {ref} names every one of them as it is labelled.")
        return
    Words(
        "The test images that it got wrong with most confidence. The training images that lie nearest often say why: a "
        "wrong label there, or two classes that look alike.", "note",
    )  # fmt: skip
    with ui.element("div").classes("mistakes"):
        for item in found:
            with card():
                with ui.element("div").classes("row top"):
                    picture(item.sample, f"test image labelled {item.given}, taken for {item.predicted}", 192)
                    with ui.element("div").classes("stack"):
                        Words("labelled", "note", "div")
                        Words(item.given, "strong", "div")
                        Words(f"taken for, {share(item.confidence, 1)} sure", "note", "div")
                        Words(item.predicted, "strong wrong", "div")
                Words(item.path, "note mono path", "div")
                with ui.element("div").classes("near"):
                    for near in item.nearest:
                        with ui.element("figure"):
                            picture(near.sample, f"training image labelled {near.label}", 96)
                            kind = "wrong" if near.label == item.predicted else ""
                            Words(near.label, kind, "figcaption")
                            Words(f"{near.similarity:.2f} alike", "note", "div")
