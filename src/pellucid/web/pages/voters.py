"""Voters: who says how much, how far each is to be believed, and what it would change to forget one."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from nicegui import ui

from pellucid.errors import PellucidError
from pellucid.flow.online.voters import Voter
from pellucid.web.formats import between, share
from pellucid.web.one_voter import OneVoter
from pellucid.web.parts import Words, card, empty, meter
from pellucid.web.redrawn import Redrawn
from pellucid.web.view import View, complain, told

_KEEP = 10.0  # seconds for which the list is shown; where it takes long, longer
_LOOK = 1.0  # seconds between two looks while it is being made for the first time
_SHOWN = 50  # voters at once

# By column: its heading, what it tells, and what it is sorted by; what is not known comes last.
_COLUMNS: tuple[tuple[str, str, Callable[[Voter], float | None]], ...] = (
    ("Voter", "who, and in what role; a folder that was ingested is a voter too", lambda voter: 0),
    (
        "Reliability",
        "share of the labels that are right, as far as model and others can tell; new voters begin with what is usual",
        lambda voter: getattr(voter.reliability, "value", None),
    ),
    (
        "Weight",
        "with what weight the champion has learnt the labels, on average; 0 % where it learnt none of them as they were "
        "said, – where no model learns from the images",
        lambda voter: voter.weight,
    ),
    ("Votes", "labels that count; what was taken back stands below", lambda voter: voter.votes),
    (
        "Agrees",
        "share of the images that others labelled too on which most of them say the same; – where there are none",
        lambda voter: voter.agreement,
    ),
    (
        "Believed",
        "share of the labels that stand in the newest dataset version; – where all were said after it was made",
        lambda voter: voter.conduct.believed,
    ),
    ("Two labels", "images to which this voter has given more than one label", lambda voter: voter.conduct.wavers),
    ("Fastest", "the most votes within any one minute, folders left out", lambda voter: voter.conduct.burst),
    ("Suspected", "why somebody should look closer; empty for most", lambda voter: len(voter.conduct.suspicions)),
)
_UP_FIRST = {"Voter", "Reliability", "Weight", "Agrees", "Believed"}  # columns whose low end is what one looks for


async def build(view: View) -> None:
    """The page's content: one voter where the address names one, else all."""
    voter = view.query.get("voter")
    if voter is not None:
        await OneVoter(view, voter).refresh()
        return
    page = _Voters(view)
    await page.refresh()
    ui.timer(_LOOK, page.wait)


async def voters_of(view: View) -> list[Voter] | None:
    """All voters; None while they are being weighed for the first time."""
    return await view.desk.voters(view.desk.dataset, seconds=_KEEP)


class _Voters:
    def __init__(self, view: View) -> None:
        self._view = view
        self._voters: list[Voter] | None = None
        self._sorted = ("Votes", True)  # the column, and whether from the high end
        self._most = _SHOWN
        self._dataset = view.desk.dataset
        self._ticks = 0
        with card("", classes="voters"):
            Words(
                "Reliability is the share of a voter's labels that are right, by what the model and all others gave "
                "them; the bar's interval holds it 19 times in 20. A voter who is often wrong is already believed "
                "little. Forgetting one takes back all that was said, and a model that learns at once unlearns it "
                "exactly.",
                "note",
            )
            with ui.element("details").classes("legend"):
                Words("What the columns mean", tag="summary")
                with ui.element("dl"):
                    for column, about, _ in _COLUMNS:
                        Words(column, tag="dt")
                        Words(about, tag="dd").props["id"] = _about(column)
            self._table = Redrawn(self._draw, "scroll")
            self._more = ui.button("Show more", on_click=told(self._show_more), color=None).props("outline")
            self._more.visible = False

    async def refresh(self) -> None:
        """Shows who there is."""
        try:
            self._voters = await voters_of(self._view)
        except PellucidError as error:
            complain(error)
        self._show()

    async def wait(self) -> None:
        """Looks again: at once for the first list, later now and then."""
        self._ticks += 1
        if self._voters is None or self._ticks % int(_KEEP) == 0:
            await self.refresh()

    async def _show_more(self) -> None:
        self._most += _SHOWN
        self._show()

    def _show(self) -> None:
        if self._voters is None:
            self._table.show(None)
            return
        name, high_first = self._sorted
        key = next(value for column, _, value in _COLUMNS if column == name)
        known = [(value, voter) for voter in self._voters if (value := key(voter)) is not None]
        by_name = sorted(known, key=lambda pair: pair[1].name.casefold(), reverse=high_first and name == "Voter")
        in_order = [voter for _, voter in sorted(by_name, key=lambda pair: pair[0], reverse=high_first)]
        rest = [voter for voter in self._voters if key(voter) is None]
        self._table.show((self._sorted, tuple([*in_order, *rest][: self._most])))
        self._more.visible = len(self._voters) > self._most

    def _draw(self, shown: tuple[tuple[str, bool], tuple[Voter, ...]] | None) -> None:
        if shown is None:
            with ui.element("div").classes("row").props('role="status"'):
                ui.spinner(size="22px").props('aria-hidden="true"')
                Words("Weighing what everybody has said…", "note", "span")
            return
        (name, high_first), voters = shown
        if not voters:
            empty(
                "how_to_vote", "Nobody has voted yet",
                "Whoever corrects an answer, reviews a label or brings a labelled folder is a voter.",
                "pellucid ingest FOLDER --dataset NAME",
            )  # fmt: skip
            return
        with ui.element("table").classes("plain voters").props('aria-label="Voters"'):
            with ui.element("thead"), ui.element("tr"):
                for column, about, _ in _COLUMNS:
                    self._head(column, about, name, high_first=high_first)
            with ui.element("tbody"):
                for voter in voters:
                    _row(voter)

    def _head(self, column: str, about: str, sorted_by: str, *, high_first: bool) -> None:
        async def sort() -> None:
            again = self._sorted[0] == column
            self._sorted = (column, not self._sorted[1] if again else column not in _UP_FIRST)
            self._show()

        head = ui.element("th").props('scope="col"').classes("" if column in {"Voter", "Suspected"} else "num")
        if column == sorted_by:
            head.props["aria-sort"] = "descending" if high_first else "ascending"
        with head, ui.element("button").classes("sort").on("click", told(sort)) as button:
            button.props["type"] = "button"
            button.props["title"] = about
            button.props["aria-describedby"] = _about(column)
            Words(column, tag="span")
            arrow = "arrow_downward" if high_first else "arrow_upward"
            ui.icon(arrow if column == sorted_by else "unfold_more").props('aria-hidden="true"')


def _about(column: str) -> str:
    """The id of what explains the column."""
    return f"about-{column.lower().replace(' ', '-')}"


def _row(voter: Voter) -> None:
    conduct = voter.conduct
    with ui.element("tr"):
        with ui.element("th").props('scope="row"'):
            with ui.element("a") as link:
                link.props["href"] = f"/voters?voter={quote(voter.name, safe='')}"
                Words(voter.name, tag="span")
            Words(", ".join(role.replace("_", " ") for role in voter.roles), "note")
        with ui.element("td").classes("num reliability"):
            found = voter.reliability
            if found is None:
                Words("believed outright" if "ground_truth" in voter.roles else "not asked", "note", "span")
            else:
                Words(share(found.value), tag="span")
                span(found.low, found.value, found.high, f"reliability {share(found.value)}, {between(found)}")
        _cell("–" if voter.weight is None else share(voter.weight), "")
        taken = f"{voter.retracted:,} taken back" if voter.retracted else ""
        _cell(f"{voter.votes:,}", taken)
        _cell(*_part(voter.agreement, voter.compared))
        _cell(*_part(conduct.believed, conduct.judged))
        _cell(f"{conduct.wavers:,}", f"of {voter.images:,}" if conduct.wavers else "")
        _cell(f"{conduct.burst:,}" if conduct.burst else "–", "in a minute" if conduct.burst else "")
        with ui.element("td"):
            for reason in conduct.suspicions:
                Words(reason, "badge bad why", "span")


def _part(part: float | None, of: int) -> tuple[str, str]:
    """A share, and of how many; both as they stand in a cell."""
    return ("–", "") if part is None else (share(part), f"of {of:,}")


def _cell(value: str, note: str) -> None:
    with ui.element("td").classes("num"):
        Words(value, tag="span")
        if note:
            Words(note, "note")


def span(low: float, value: float, high: float, words: str) -> None:
    """A bar from 0 to 1 with an interval on it."""
    with meter(value, words, "span"):
        ui.element("i").style(f"left:{100 * low:.1f}%;width:{100 * max(high - low, 0.01):.1f}%")
