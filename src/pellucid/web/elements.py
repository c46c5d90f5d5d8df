"""The few elements with JavaScript of their own, in `static`."""

from __future__ import annotations

from nicegui.element import Element


class Tries(Element, component="static/tries.js"):
    """Sends pictures to ``POST /ui/try`` one by one; emits ``tried`` {id, name} and ``refused`` {name, why}.

    It emits ``begun`` before a batch, asks before the page is left while some are unsent, and tells later which.
    """

    def __init__(self, *, most: int, largest: int, disabled: bool) -> None:
        super().__init__()
        self.props.update(url="/ui/try", most=most, bytes=largest, disabled=disabled)


class Acts(Element, component="static/review.js"):
    """Keys, and buttons with ``data-act`` inside: emits ``act`` {act, sample}, the picture that was on the screen.

    It emits ``here`` too, every ten seconds at most, while somebody moves something on the page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.show("")

    def show(self, sample: str, preload: tuple[str, ...] = ()) -> None:
        """From now on this picture is on the screen, and those are fetched that come next."""
        self.props.update(sample=sample, preload=list(preload), quiet=False)
        self.update()

    def be_quiet(self, quiet: bool) -> None:  # noqa: FBT001 - what it is called for
        """Whether keys are for something else now, as for a dialog."""
        self.props["quiet"] = quiet
        self.update()
