"""A picture's whole story, in a dialog over the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from urllib.parse import urlencode

from nicegui import ui

from pellucid.errors import NotReadyError
from pellucid.features.extractor import Extractor
from pellucid.flow.production.story import Story, Word, story
from pellucid.types import TRUST_SCALE, Row, Status
from pellucid.web import tables
from pellucid.web.correcting import Correction
from pellucid.web.formats import moment, share
from pellucid.web.parts import Words, heading, meter, picture
from pellucid.web.view import View, told

_LARGE, _SMALL = 768, 96  # pixels


class StoryDialog:
    """Opens on a sample; arrows lead to the next and the one before, Esc closes.

    Args:
        ref: the dataset version that it is seen from.
        step: opens the picture so many places on, back where negative; None where there is no order.
        closed: is called when it was closed.
    """

    def __init__(
        self,
        view: View,
        ref: str,
        *,
        step: Callable[[int], None] | None = None,
        closed: Callable[[], None] | None = None,
    ) -> None:
        self._view = view
        self._ref = ref
        self._wanted = ""
        with ui.dialog().props('aria-label="A picture\'s story"') as self._dialog, ui.element("div") as box:
            box.classes("story q-card").props('tabindex="-1" data-autofocus')
            with ui.element("div").classes("row story-top"):
                self._title = heading(2, "")
                if step is not None:
                    _button("chevron_left", "Previous picture", lambda: step(-1))
                    _button("chevron_right", "Next picture", lambda: step(1))
                    self._dialog.on("keydown.arrow-left", lambda: step(-1))
                    self._dialog.on("keydown.arrow-right", lambda: step(1))
                _button("close", "Close", self._dialog.close)
            self._body = ui.element("div").classes("story-body").props('aria-live="polite"')
        if closed is not None:
            self._dialog.on("hide", closed)

    async def open(self, sample: str) -> None:
        """Shows the story of the sample."""
        self._wanted = sample
        if not self._dialog.value:
            self._body.clear()
            self._title.text = "One moment…"
            self._dialog.open()
        desk = self._view.desk
        found = await desk.read(story, desk.shelf, desk.workspace, self._ref, sample, by=_extractor(self._view))
        if self._wanted != sample:  # somebody has gone on
            return
        self._body.clear()
        row = dict(found.versions).get(self._ref)
        self._title.text = _name(row)
        with self._body:
            self._tell(found, row)

    def _tell(self, found: Story, row: Row | None) -> None:
        with ui.element("div").classes("story-columns"):
            with ui.element("div").classes("stack"):
                picture(found.sample, f"The picture, {_name(row)}", _LARGE, "story-picture")
                if row is not None and self._ref.partition("@")[0] == _served(self._view):
                    Correction(self._view, found.sample, row.label)
                _standing(found, row, self._ref)
            with ui.element("div"):
                _words(found.words)
                _answers(found)
                _table("In each version", ("Version", "Label", "Trust", "Split", "Status"), (
                    (ref, "not in it", "", "", "") if item is None
                    else (ref, item.label or "none", _trust(item), str(item.split), _status(item))
                    for ref, item in found.versions
                ))  # fmt: skip
                _table("Where it was seen", ("Dataset", "File", "Said with it"), (
                    (name, item.path, ", ".join(f"{key}: {value}" for key, value in item.metadata.items()))
                    for name, item in found.files
                ))  # fmt: skip
                _table("What models learnt of it", ("When", "Model", "What", "Label", "Weight", "Why"), (
                    (moment(it.at), it.model, it.entry.action, it.entry.label or "none", f"{it.entry.credit:.2f}",
                     it.entry.reason)
                    for it in found.lines
                ))  # fmt: skip
                self._alike(found)

    def _alike(self, found: Story) -> None:
        for item in found.findings:
            heading(3, item.kind.replace("_", " ").capitalize())
            Words(item.detail, "note")
            self._strip([(name, "", "found with it") for name in item.samples if name != found.sample])
        if found.group and not found.findings:
            heading(3, "Its group, which no split tears")
            self._strip([(row.sample, row.label or "no label", str(row.split)) for row in found.group])
        if found.neighbours:
            heading(3, "Nearest in the eyes of the model")
            self._strip([
                (item.row.sample, item.row.label or "no label", f"{share(max(0.0, item.similarity))} alike")
                for item in found.neighbours
            ])  # fmt: skip

    def _strip(self, items: Sequence[tuple[str, str, str]]) -> None:
        """Small pictures; each leads to its own story."""
        with ui.element("div").classes("shots"):
            for sample, words, note in items[:24]:
                with ui.element("button").classes("shot").props('type="button"') as button:
                    picture(sample, f"{words or 'picture'}, {note}", _SMALL)
                    if words:
                        Words(words, tag="span")
                    Words(note, "note", "span")
                button.on("click", told(lambda sample=sample: self.open(sample)))


def _standing(found: Story, row: Row | None, ref: str) -> None:
    """How it stands in the version, and what it is."""
    if row is not None:
        with ui.element("div").classes("row"):
            Words(str(row.split), "badge", "span")
            Words(_status(row), "badge good" if row.status is Status.OK else "badge bad", "span")
            Words(f"trust {_trust(row)}", "badge", "span")
        meter(row.trust / TRUST_SCALE, "Trust in the label")
        if row.reason:
            Words(row.reason, "note")
    else:
        Words(f"It is not in {ref}.", "note")
    if found.facts is not None:
        kind, width, height = found.facts
        Words(f"{kind.removeprefix('image/').upper()}, {width} × {height} pixels", "note")
    _models("Trained on it", found.learnt_by)
    _models("Measured on it", found.judged)
    Words(found.sample, "mono note")


def _models(what: str, refs: Sequence[str]) -> None:
    """Models by name; each leads to its card."""
    if not refs:
        return
    with ui.element("p").classes("note models"):
        Words(f"{what}:", tag="span")
        for ref in refs:
            with ui.element("a") as link:
                link.props["href"] = f"/models?{urlencode({'name': ref.partition('@')[0], 'card': ref})}"
                Words(ref, tag="span")


def _words(words: Sequence[Word]) -> None:
    if not words:
        heading(3, "What people said")
        Words("Nobody has said anything about it.", "note")
    _table("What people said", ("When", "Who", "Role", "Label", "Note"), (
        (moment(it.vote.at), it.vote.voter, it.vote.role.replace("_", " "), it.vote.label,
         it.vote.note or "" if it.retracted is None else f"taken back by {it.retracted.actor}: {it.retracted.reason}")
        for it in words
    ), struck=[it.retracted is not None for it in words])  # fmt: skip


def _answers(found: Story) -> None:
    title = "What models said" if found.asked <= len(found.answers) else (
        f"What models said: the newest {len(found.answers)} of {found.asked:,}"
    )  # fmt: skip
    _table(title, ("When", "Model", "Label", "Confidence", "Asked by"), (
        (moment(it.at), it.model, it.label, share(it.confidence), it.actor or it.name) for it in found.answers
    ))  # fmt: skip


def _table(title: str, heads: Sequence[str], lines: Iterable[Sequence[str]], struck: Sequence[bool] = ()) -> None:
    """A heading and a table; nothing where there are no lines."""
    cells = list(lines)
    if not cells:
        return
    heading(3, title)
    with tables.table(title, heads):
        for at, line in enumerate(cells):
            with tables.row("struck" if at < len(struck) and struck[at] else ""):
                for cell in line:
                    tables.text(cell)


def _button(icon: str, words: str, press: Callable[[], object]) -> None:
    found = ui.button(icon=icon, on_click=press).props("flat round dense")
    found.props["aria-label"] = words


def _extractor(view: View) -> Extractor | None:
    """The champion's; None where there is no champion yet."""
    try:
        return view.desk.doors.service.live.predictor.extractor
    except NotReadyError:
        return None


def _served(view: View) -> str:
    """The dataset whose labels are heard, as its champion answers; empty where there is none yet."""
    try:
        return view.desk.dataset
    except NotReadyError:
        return ""


def _name(row: Row | None) -> str:
    return "A picture that this version does not hold" if row is None else row.label or "No label"


def _status(row: Row) -> str:
    return row.status.replace("_", " ")


def _trust(row: Row) -> str:
    return f"{row.trust * 100 // TRUST_SCALE} %"
