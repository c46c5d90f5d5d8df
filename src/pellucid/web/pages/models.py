"""Models: the registry with its evidence, who answers in production since when and why, and steering it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from nicegui import ui

from pellucid.evaluate.evaluation import Estimate
from pellucid.features.spec import short_spec
from pellucid.flow.production.steer import Proposal, Registry, propose_promotion, propose_rollback, see_registry
from pellucid.flow.training.evaluate import read_card
from pellucid.store.aliases import CHAMPION, Change
from pellucid.types import ModelVersion, Right
from pellucid.web import tables
from pellucid.web.dialogs import close_button, dialog
from pellucid.web.formats import between, day, metric, moment, points, settings_in_words, share
from pellucid.web.glossary import glossary
from pellucid.web.markdown import markdown
from pellucid.web.parts import Words, card, empty, tile
from pellucid.web.shadows import read_shadow, shadow_card
from pellucid.web.steering import badge_of, show_verdict, steer
from pellucid.web.view import View, notify, told

REFRESH = 5.0  # seconds between two looks at whether somebody else has promoted
_CHANGES = 30  # of the history that are shown


async def build(view: View) -> None:
    """The page's content."""
    name = view.query.get("name") or None
    registry = await _look(view, name, seconds=1.0)
    if registry is None:
        empty(
            "inventory_2", "There is no model yet", "Train one: on the page Training, or on the command line.",
            "pellucid train --dataset NAME",
        )  # fmt: skip
        return
    if len(registry.names) > 1:
        with ui.element("div").classes("row pickers"):
            ui.select(
                list(registry.names), value=registry.name, label="Models of",
                on_change=lambda event: ui.navigate.to(f"/models?name={event.value}"),
            ).props("outlined dense").classes("picker")  # fmt: skip
    _Models(view, registry)
    if ref := view.query.get("card"):  # as from a picture's story
        ui.timer(0.01, told(partial(_card, view, ref)), once=True)


async def _look(view: View, name: str | None, *, seconds: float = REFRESH - 0.5) -> Registry | None:
    return await view.desk.cached(see_registry, name, seconds=seconds)


class _Models:
    """The registry on somebody's screen; it is drawn anew where something has changed."""

    def __init__(self, view: View, registry: Registry) -> None:
        self._view = view
        self._name = registry.name
        self._box = ui.element("div")
        self._registry = registry
        self._draw()
        ui.timer(REFRESH, told(self.refresh), immediate=False)  # at once, a click could meet the drawing

    async def refresh(self) -> None:
        """Looks again."""
        registry = await _look(self._view, self._name)
        if registry is None or registry == self._registry:
            return
        if registry.revision != self._registry.revision and registry.since is not None:
            notify(f"{registry.since.actor} made {registry.name}@{registry.since.version} the champion", "info")
        self._registry = registry
        self._draw()

    async def _changed(self) -> None:
        self._view.desk.forget(see_registry, self._name)
        self._view.desk.forget(see_registry, None)
        registry = await _look(self._view, self._name)
        if registry is not None:
            self._registry = registry
            self._draw()

    def _draw(self) -> None:
        self._box.clear()
        with self._box:
            self._tiles()
            self._table()
            with ui.element("div").classes("columns"):
                self._history()
                self._aside = ui.element("div")
            ui.timer(0.01, told(self._beside), once=True)

    def _tiles(self) -> None:
        registry = self._registry
        champion, since = registry.champion, registry.since
        with ui.element("div").classes("tiles"):
            when = "" if since is None else f"since {moment(since.at)}, by {since.actor}"
            tile("Champion", champion.ref if champion else "none", when or "promote one to let it answer")
            if champion is not None:
                accuracy = _accuracy(champion)
                tile("Its accuracy", share(accuracy.value, 1), f"{between(accuracy, 1)} on test images")
            tile("Models", f"{len(registry.models):,}", f"newest: model {registry.models[0].ref}")

    def _table(self) -> None:
        admin = self._view.may(Right.ADMIN)
        with card("Registry", "Newest first; accuracy on each model's own test images, with its 95 % interval."):
            if not admin:
                Words("Promoting and rolling back want the role admin.", "note")
            glossary("Accuracy", "95 % interval", "Macro F1", "Log loss", "Head", "loo", "Gate")
            columns = ("Model", "Accuracy", "Macro F1", "Log loss", "Head", "Trained on", "Gate", "Made", "")
            with tables.table("Registered models", columns):
                for model in self._registry.models:
                    with tables.row("champion" if CHAMPION in model.aliases else ""):
                        self._row(model)

    def _row(self, model: ModelVersion) -> None:
        values, accuracy = model.metrics, _accuracy(model)
        with ui.element("th").props('scope="row"'):
            Words(f"model {model.ref}", tag="div")
            for alias in model.aliases:
                Words(alias, "badge good" if alias == CHAMPION else "badge", "span")
        with tables.cell("number"):
            Words(share(accuracy.value, 1), "strong", "div")
            Words(between(accuracy, 1), "note still", "div")
        tables.text(metric("macro_f1", values["macro_f1"]), "number")
        tables.text(metric("log_loss", values["log_loss"]), "number")
        with tables.cell():
            Words(model.head, tag="div")
            Words(settings_in_words(model.settings), "note", "div")
        with tables.cell():
            Words(f"data {model.dataset}", tag="div")
            Words(short_spec(model.extractor), "note", "div").props["title"] = model.extractor
        with tables.cell():
            self._gate(model)
        tables.text(day(model.created_at), "note")
        with tables.cell(), ui.element("div").classes("row acts"):
            self._buttons(model)

    def _gate(self, model: ModelVersion) -> None:
        verdict = self._registry.verdicts.get(model.version)
        words, kind = badge_of(verdict)
        if verdict is None:
            Words("–", "note", "span").props["aria-label"] = words
            return
        button = ui.button(
            words, on_click=lambda: _show(f"The gate on {model.ref}", lambda: show_verdict(verdict)), color=None
        )
        button.props("flat dense no-caps").classes(f"badge {kind}").props["aria-label"] = (
            f"{words}: the gate on {model.ref}"
        )
        comparison = (verdict.figures.get("trusted") or {}).get("comparison")
        if comparison:
            Words(points(Estimate(**comparison["difference"])), "note", "div")

    def _buttons(self, model: ModelVersion) -> None:
        view, registry = self._view, self._registry
        shown = ui.button("Card", on_click=told(lambda: _card(view, model.ref)), color=None)
        shown.props("flat dense no-caps").classes("act")
        shown.props["aria-label"] = f"Card of {model.ref}"
        if registry.champion is not None and model.version != registry.champion.version:
            beside = f"/training?view=compare&a={model.ref}&b={registry.champion.ref}"
            ui.link("Compare", beside).props["aria-label"] = f"Compare {model.ref} with the champion"
        if CHAMPION in model.aliases:
            return
        self._act("Promote", model.ref, lambda: propose_promotion(view.desk.workspace, model.ref))

    def _act(self, name: str, subject: str, propose: Callable[[], Proposal]) -> None:
        button = ui.button(name, on_click=told(lambda: steer(self._view, propose, self._changed)), color=None)
        button.props("flat dense no-caps").classes("act").props["aria-label"] = f"{name} {subject}"
        if not self._view.may(Right.ADMIN):
            button.props["title"] = "wants the role admin"
            button.disable()

    def _history(self) -> None:
        registry, view = self._registry, self._view
        with card("Production", "Who became champion, by whom, and why; newest first."):
            if registry.back is not None:
                target = f"{registry.name}@{registry.back}"
                self._act(f"Roll back to {target}", "", lambda: propose_rollback(view.desk.workspace, registry.name))
            if not registry.history:
                Words("Nothing has been promoted yet.", "note")
            with ui.element("ol").classes("timeline"):
                for change in registry.history[:_CHANGES]:
                    _change(change)

    async def _beside(self) -> None:
        """What is in the shadow; a report takes a moment, and the page does not wait for it."""
        box = self._aside
        report = await read_shadow(self._view, self._name)
        if not box.is_deleted:
            box.clear()
            with box:
                shadow_card(self._view, self._registry, report, self._beside)


def _accuracy(model: ModelVersion) -> Estimate:
    return Estimate(*(model.metrics[name] for name in ("accuracy", "accuracy_low", "accuracy_high")))


def _change(change: Change) -> None:
    before = f" in place of {change.name}@{change.previous}" if change.previous else ""
    verb = {"promote": "became", "rollback": "came back as"}.get(change.action, change.action)
    with ui.element("li").classes(change.action):
        Words(f"{change.name}@{change.version} {verb} {change.alias}{before}", "strong", "div")
        Words(f"{moment(change.at)} · {change.actor}", "note", "div")
        if change.reason:
            Words(change.reason, "", "div")


def _show(title: str, content: Callable[[], None]) -> None:
    with dialog(title, wide=True) as (made, _):
        content()
        close_button(made)


async def _card(view: View, ref: str) -> None:
    def read() -> str:
        from pellucid.store.models import get_model

        with view.desk.workspace.database.read() as connection:
            model = get_model(connection, ref)
        return read_card(view.desk.workspace, model)

    text = await view.desk.read(read)

    def content() -> None:
        markdown(text)
        with ui.element("p"):
            ui.link("See its most confident mistakes", f"/training?view=mistakes&model={ref}")

    _show(f"Card of model {ref}", content)
