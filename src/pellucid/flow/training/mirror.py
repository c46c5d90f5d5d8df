"""Mirror: what the registry says of champions and others, repeated in MLflow."""

from __future__ import annotations

from collections.abc import Mapping

from pellucid.flow.workspace import Workspace
from pellucid.store.aliases import ALIASES, alias_state
from pellucid.store.models import get_model, mirror_version


def mirror_aliases(workspace: Workspace, name: str) -> Mapping[str, int]:
    """Repeats the name's aliases in MLflow; returns those that could be."""
    done = {}
    with workspace.database.read() as connection:
        states = {alias: alias_state(connection, name, alias) for alias in ALIASES}
        versions = {
            alias: mirror_version(connection, get_model(connection, f"{name}@{state.version}"))
            for alias, state in states.items()
            if state.version is not None
        }
    for alias, version in versions.items():
        number = states[alias].version
        if version is not None and number is not None:
            workspace.tracking.set_alias(name, alias, version)
            done[alias] = number
    return done
