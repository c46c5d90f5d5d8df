"""Promote and roll back: one compare-and-swap with a line of history, repeated in MLflow."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import sqlalchemy as sa

from pellucid.errors import ConcurrencyError, GateError, StorageError, UsageError
from pellucid.flow.environment import current_user
from pellucid.flow.production.gate import gate
from pellucid.flow.training.mirror import mirror_aliases
from pellucid.flow.training.predict import open_predictor
from pellucid.flow.workspace import Workspace
from pellucid.store.aliases import (
    ALIASES,
    CHAMPION,
    AliasState,
    Change,
    alias_state,
    earlier_champion,
    history_of,
    set_alias,
)
from pellucid.store.models import get_model
from pellucid.store.shadows import end_shadows
from pellucid.store.verdicts import Verdict
from pellucid.types import ModelVersion


def promote(
    workspace: Workspace,
    ref: str,
    *,
    alias: str = CHAMPION,
    reason: str = "",
    actor: str | None = None,
    force: bool = False,
    verdict: Verdict | None = None,
    seen: int | None = None,
    dry_run: bool = False,
) -> Change:
    """Makes a model version the champion, or the candidate, of its name.

    The model is loaded and checked first, so that nothing damaged can become champion. Who would take a champion's
    place has to pass `gate`, whose verdict is recorded. A first champion and a candidate need no gate. Where the
    dataset has no trusted image for the gate, nobody can judge: the promotion goes through, the verdict says that it
    did not pass, and a warning says that it was not judged.

    Args:
        ref: ``NAME@VERSION``.
        actor: who decides; the user of the operating system where None.
        force: promotes against the gate's verdict, which the history's reason then tells.
        verdict: what the gate has just said of it; it is asked where None.
        seen: the alias's revision that whoever decides has seen, so that nobody's decision is overruled unseen; as it
            is now where None.
        dry_run: says what would happen, judges and refuses as it would, and changes and records nothing.

    Raises:
        NotFoundError, IntegrityError: the model does not exist or cannot be loaded.
        UsageError: it is what it would become already.
        GateError: the gate refuses it.
        ConcurrencyError: somebody else promoted meanwhile; nothing was changed.
    """
    if alias not in ALIASES:
        raise UsageError(f"{alias!r} is no alias; wanted is {' or '.join(ALIASES)}")
    with workspace.database.read() as connection:
        target = get_model(connection, ref)
        state = alias_state(connection, target.name, alias)
        _check_seen(connection, target.name, alias, state, seen)
    if state.version == target.version:
        raise UsageError(f"{target.ref} is the {alias} of {target.name} already; nothing was changed")
    who = actor or current_user()
    if alias == CHAMPION and state.version is not None:
        said = verdict or gate(workspace, target.ref, actor=who, record=not dry_run)
        reason = _allowed(target, state.version, said, reason, force=force)
    return _carry_out(workspace, target, alias, "promote", state, actor=who, reason=reason, dry_run=dry_run)


def rollback(
    workspace: Workspace,
    name: str,
    *,
    to: int | None = None,
    reason: str = "",
    actor: str | None = None,
    seen: int | None = None,
    dry_run: bool = False,
) -> Change:
    """Makes an earlier version the champion again: the same act as a promotion, aimed at an older version.

    The gate is not asked about one that was champion before, so that the way back is always open; of any other version
    it is asked as in ``promote``.

    Args:
        to: the version; the champion before the present one where None.
        seen: as in ``promote``.

    Raises:
        UsageError: there is no earlier champion.
        NotFoundError, IntegrityError, GateError, ConcurrencyError: as for ``promote``.
    """
    with workspace.database.read() as connection:
        version = earlier_champion(connection, name) if to is None else to
        target = get_model(connection, f"{name}@{version}")
        state = alias_state(connection, name, CHAMPION)
        _check_seen(connection, name, CHAMPION, state, seen)
        crowned = crowned_versions(connection, name)
    if state.version == target.version:
        raise UsageError(f"{target.ref} is the champion of {name} already; nothing was changed")
    who = actor or current_user()
    if state.version is not None and target.version not in crowned:
        said = gate(workspace, target.ref, actor=who, record=not dry_run)
        reason = _allowed(target, state.version, said, reason, force=False)
    return _carry_out(workspace, target, CHAMPION, "rollback", state, actor=who, reason=reason, dry_run=dry_run)


def crowned_versions(connection: sa.Connection, name: str) -> set[int]:
    """The versions that ever were champion: the gate is not asked about going back to one of them."""
    return {change.version for change in history_of(connection, name) if change.alias == CHAMPION}


def _check_seen(connection: sa.Connection, name: str, alias: str, state: AliasState, seen: int | None) -> None:
    if seen is None or seen == state.revision:
        return
    last = [change for change in history_of(connection, name) if change.alias == alias][-1:]
    what = "".join(f": {item.actor} made {name}@{item.version} the {alias}" for item in last)
    raise ConcurrencyError(f"the {alias} of {name} was changed meanwhile{what}; nothing was changed, look again")


def _allowed(target: ModelVersion, champion: int, verdict: Verdict, reason: str, *, force: bool) -> str:
    """The reason as the history shall have it, where the gate has let the model pass or is overruled."""
    if (verdict.name, verdict.candidate) != (target.name, target.version):
        raise UsageError(f"the verdict is on {verdict.name}@{verdict.candidate}; wanted is one on {target.ref}")
    if verdict.champion != champion:
        raise ConcurrencyError(f"the champion of {target.name} was changed meanwhile; look again and retry")
    if verdict.passed:
        return reason
    if force:
        return f"{reason}{' ' * bool(reason)}[forced against the gate: {verdict.line}]"
    if not verdict.judged:
        logging.getLogger(__name__).warning(
            "the promotion of %s was not judged: %s has no trusted image for the gate; ingest some as trusted, or with "
            "trusted_fraction above 0",
            target.ref,
            target.name,
        )
        return reason
    raise GateError(
        f"the gate refuses {target.ref} against {target.name}@{champion}: {verdict.line}; "
        f"`pellucid models promote {target.ref} --force` overrules it"
    )


def _carry_out(
    workspace: Workspace,
    target: ModelVersion,
    alias: str,
    action: str,
    state: AliasState,
    *,
    actor: str,
    reason: str,
    dry_run: bool,
) -> Change:
    change = Change(
        target.name,
        alias,
        state.revision + 1,
        action,
        target.version,
        state.version,
        actor,
        reason,
        datetime.now(UTC),
    )
    open_predictor(workspace, target)
    if dry_run:
        return change
    with workspace.database.write() as connection:
        set_alias(connection, change)
        if change.alias == CHAMPION:
            end_shadows(connection, target.name, target.version)  # nobody stands in his own shadow
    try:
        mirror_aliases(workspace, target.name)
    except StorageError as error:  # the decision stands without its mirror, which the next promotion completes too
        logging.getLogger(__name__).warning("%s is %s; in MLflow not yet: %s", target.ref, change.alias, error)
    return change
