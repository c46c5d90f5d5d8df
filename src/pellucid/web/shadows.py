"""A candidate beside the champion: where the two differ on live traffic, who was right, begin and end it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from pellucid.errors import NotFoundError
from pellucid.flow.production.shadow import Difference, Judged, ShadowReport, begin_shadow, end_shadow, shadow_report
from pellucid.flow.production.steer import Registry
from pellucid.flow.workspace import Workspace
from pellucid.store.aliases import CHAMPION
from pellucid.types import Right
from pellucid.web import tables
from pellucid.web.formats import between, moment, share
from pellucid.web.parts import Words, card, picture
from pellucid.web.view import View, notify, told

_PICTURES = 8  # differing images that are shown
_PAIRS = 8  # of labels
_AGE = 10.0  # seconds that a report is shown for
_SHARES = {1.0: "all images", 0.5: "half of the images", 0.1: "a tenth of the images"}


def shadow_card(
    view: View, registry: Registry, report: ShadowReport | None, changed: Callable[[], Awaitable[None]]
) -> None:
    """The card.

    Args:
        report: as ``read_shadow`` gave it.
        changed: told once a shadow has begun or ended.
    """
    running = report is not None and report.shadow.ended_at is None
    with card("Beside the champion", "A candidate in the shadow answers the same questions, to nobody."):
        if report is not None:
            _show(report)
        if running:
            _button(
                view, "End it", registry.name, lambda actor: end_shadow(view.desk.workspace, registry.name), changed
            )
        else:
            _begin(view, registry, changed)


async def read_shadow(view: View, name: str) -> ShadowReport | None:
    """What is, or was last, in the shadow of the name's champion; None where nothing ever was."""

    return await view.desk.cached(_report, name, seconds=_AGE, slow=True)


def _report(workspace: Workspace, name: str) -> ShadowReport | None:
    try:
        return shadow_report(workspace, name, most=_PICTURES)
    except NotFoundError:
        return None


def _begin(view: View, registry: Registry, changed: Callable[[], Awaitable[None]]) -> None:
    others = [model.ref for model in registry.models if CHAMPION not in model.aliases]
    if registry.champion is None or not others:
        Words("There has to be a champion, and another model to put beside it.", "note")
        return
    with ui.element("div").classes("row"):
        ref = ui.select(others, value=others[0], label="Candidate").props("outlined dense").classes("short")
        part = ui.select(_SHARES, value=1.0, label="On").props("outlined dense").classes("short")

        def begin(actor: str) -> object:
            return begin_shadow(view.desk.workspace, str(ref.value), share=float(part.value or 1), actor=actor)

        _button(view, "Begin", registry.name, begin, changed)


def _button(
    view: View, name: str, subject: str, work: Callable[[str], object], changed: Callable[[], Awaitable[None]]
) -> None:
    verb = {"Begin": "begin shadow", "End it": "end shadow"}[name]

    async def act() -> None:
        actor = view.viewer.caller.name
        await view.desk.act(view.viewer, Right.ADMIN, verb, subject, lambda: work(actor))
        view.desk.forget(_report, subject)
        notify("the candidate answers beside the champion now" if name == "Begin" else "the shadow has ended")
        await changed()

    button = ui.button(name, on_click=told(act), color=None).props("flat dense no-caps").classes("act")
    button.props["aria-label"] = f"{name}: a candidate beside the champion of {subject}"
    if not view.may(Right.ADMIN):
        button.props["title"] = "wants the role admin"
        button.disable()


def _show(report: ShadowReport) -> None:
    shadow = report.shadow
    until = f" until {moment(shadow.ended_at)}" if shadow.ended_at else ", and goes on"
    on = _SHARES.get(shadow.share, share(shadow.share, 1))
    Words(f"{shadow.ref} beside {', '.join(report.champions) or 'the champion'}", "strong")
    Words(f"On {on}, since {moment(shadow.started_at)}{until}.", "note")
    if shadow.trouble:
        Words(shadow.trouble, "wrong")
    if report.agreement is None:
        Words("No image has come yet that both have answered.", "note")
        return
    agreed = share(report.agreement.value, 1)
    Words(f"Both say the same of {agreed} of {report.images:,} images ({between(report.agreement, 1)}).")
    for name, judged in (("By all votes since", report.voted), ("By trusted labels alone", report.trusted)):
        Words(f"{name}: {_judged(judged)}", "note")
    if report.confusion:
        with tables.table("Where they differ", ("Champion says", "Candidate says", "Images"), numbers=("Images",)):
            for pair in report.confusion[:_PAIRS]:
                with tables.row():
                    tables.text(pair.champion_label)
                    tables.text(pair.label)
                    tables.number(f"{pair.images:,}")
    if report.differing:
        with ui.element("div").classes("near wrap"):
            for item in report.differing:
                _differing(item)


def _differing(item: Difference) -> None:
    with ui.element("figure"):
        picture(item.sample, f"champion says {item.champion_label}, candidate {item.label}", 96)
        Words(f"{item.champion_label} or {item.label}", "", "figcaption")
        Words(f"votes say {item.said}" if item.said else "nobody has said", "note", "div")


def _judged(found: Judged) -> str:
    if not found.images:
        return "nobody has labelled an image on which they differ."
    return (
        f"of {found.images:,} images on which they differ, the champion alone is right on {found.champion:,}, the "
        f"candidate alone on {found.candidate:,}, neither on {found.neither:,} (p = {found.p_value:.2g})."
    )
