"""Steering production with the evidence in view: what a promotion or a rollback would do, before it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pellucid.errors import UsageError
from pellucid.flow.environment import current_user
from pellucid.flow.production.gate import gate
from pellucid.flow.production.promote import crowned_versions
from pellucid.flow.training.predict import open_predictor
from pellucid.flow.workspace import Workspace
from pellucid.heads.online import learns_online
from pellucid.store.aliases import CHAMPION, Change, alias_state, earlier_champion, history_of
from pellucid.store.models import get_model, list_models, model_names
from pellucid.store.verdicts import Verdict, newest_verdicts
from pellucid.types import ModelVersion

MOST = 200  # models and changes that are shown


@dataclass(frozen=True, slots=True)
class Registry:
    """The models of one name, and how they came to answer."""

    name: str
    names: tuple[str, ...]  # of all that have models
    models: tuple[ModelVersion, ...]  # newest first; at most MOST
    champion: ModelVersion | None
    revision: int  # of the champion's alias: what a decision has to name
    back: int | None  # the champion before the present one; None where there is none
    history: tuple[Change, ...]  # newest first; at most MOST
    verdicts: dict[int, Verdict]  # by candidate, the gate's newest

    @property
    def since(self) -> Change | None:
        """How the champion became it."""
        return next((change for change in self.history if change.alias == CHAMPION), None)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would happen, judged as of now; nothing is changed yet."""

    action: Literal["promote", "rollback"]
    model: ModelVersion  # who would become champion
    champion: ModelVersion | None  # who is it now
    revision: int  # of the champion's alias, which the act has to name
    verdict: Verdict | None  # None where the gate is not asked
    consequences: tuple[str, ...]  # in words

    @property
    def refused(self) -> bool:
        """Whether the gate has judged and says no: only by force."""
        return self.verdict is not None and self.verdict.judged and not self.verdict.passed


def see_registry(workspace: Workspace, name: str | None = None) -> Registry | None:
    """The registry of a name, of the first one that has a champion where None; None where there is no model at all.

    Raises:
        UsageError: there is no model of that name.
    """
    with workspace.database.read() as connection:
        names = model_names(connection)
        if not names:
            return None
        if name is not None and name not in names:
            raise UsageError(f"no model is named {name!r}; there are {', '.join(names)}")
        crowned = [item for item in names if alias_state(connection, item, CHAMPION).version is not None]
        chosen = name or (crowned or names)[0]
        state = alias_state(connection, chosen, CHAMPION)
        models = tuple(list_models(connection, chosen, limit=MOST))
        champion = None if state.version is None else get_model(connection, f"{chosen}@{state.version}")
        try:
            back: int | None = earlier_champion(connection, chosen)
        except UsageError:
            back = None
        return Registry(
            name=chosen,
            names=tuple(names),
            models=models,
            champion=champion,
            revision=state.revision,
            back=back,
            history=tuple(reversed(history_of(connection, chosen)[-MOST:])),
            verdicts=newest_verdicts(connection, chosen, [item.version for item in models]),
        )


def propose_promotion(workspace: Workspace, ref: str, *, actor: str | None = None) -> Proposal:
    """What promoting the model would do; the gate is asked, and what it says is not recorded.

    Raises:
        NotFoundError, IntegrityError: the model does not exist or cannot be loaded.
        UsageError: it is the champion already.
    """
    with workspace.database.read() as connection:
        target = get_model(connection, ref)
    return _propose(workspace, "promote", target, actor or current_user(), asks=True)


def propose_rollback(workspace: Workspace, name: str, *, to: int | None = None, actor: str | None = None) -> Proposal:
    """What rolling back would do: to a version, or to the champion before the present one.

    Raises:
        NotFoundError, IntegrityError: the model does not exist or cannot be loaded.
        UsageError: there is no earlier champion, or the version is champion already.
    """
    with workspace.database.read() as connection:
        version = earlier_champion(connection, name) if to is None else to
        target = get_model(connection, f"{name}@{version}")
        asks = version not in crowned_versions(connection, name)
    return _propose(workspace, "rollback", target, actor or current_user(), asks=asks)


def _propose(
    workspace: Workspace, action: Literal["promote", "rollback"], target: ModelVersion, actor: str, *, asks: bool
) -> Proposal:
    with workspace.database.read() as connection:
        state = alias_state(connection, target.name, CHAMPION)
        champion = None if state.version is None else get_model(connection, f"{target.name}@{state.version}")
    if state.version == target.version:
        raise UsageError(f"{target.ref} is the champion of {target.name} already")
    learns = learns_online(open_predictor(workspace, target).head)
    verdict = gate(workspace, target.ref, actor=actor, record=False) if champion is not None and asks else None
    return Proposal(action, target, champion, state.revision, verdict, _consequences(target, champion, learns=learns))


def _consequences(target: ModelVersion, champion: ModelVersion | None, *, learns: bool) -> tuple[str, ...]:
    if champion is None:
        found = [f"{target.ref} becomes the first champion of {target.name}; servers answer with it within seconds."]
    else:
        found = [
            f"{target.ref} answers in place of {champion.ref}, in every server of this project, within seconds; no "
            "request is lost."
        ]
    if learns:
        found.append("What people have corrected is learnt by it too, as far as it is believed.")
    else:
        found.append(
            f"A {target.head} model cannot learn while it serves, as kernel and ridge can: corrections are kept, and "
            "count from the next training on."
        )
    if champion is not None:
        found += _changes(target, champion)
    return tuple(found)


def _changes(target: ModelVersion, champion: ModelVersion) -> list[str]:
    found = []
    gained = [name for name in target.classes if name not in champion.classes]
    lost = [name for name in champion.classes if name not in target.classes]
    if gained:
        found.append(f"Classes that it knows in addition: {', '.join(gained)}.")
    if lost:
        found.append(f"Classes that it does not know: {', '.join(lost)}; nothing is called so any more.")
    if target.dataset != champion.dataset:
        found.append(f"It was trained on data {target.dataset}; the champion on data {champion.dataset}.")
    if target.fingerprint != champion.fingerprint:
        found.append(f"It looks at images through {target.extractor}; the champion through {champion.extractor}.")
    return found
