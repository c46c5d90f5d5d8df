"""Who may ask a project's server, and for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pellucid.project.opened import Opened, several

if TYPE_CHECKING:
    from pellucid.flow.tokens import NewToken
    from pellucid.store.tokens import Token


class TokenVerbs(Opened):
    """Make, list and revoke tokens; see `pellucid.Project`."""

    def create_token(self, name: str, rights: str | Sequence[str], *, per_minute: int | None = None) -> NewToken:
        """Makes a token with rights, ``predict``, ``feedback`` or ``admin``; its secret is told this once."""
        from pellucid.flow.tokens import create_token

        return create_token(self.workspace, name, several(rights), per_minute=per_minute)

    def tokens(self) -> list[Token]:
        """All tokens that were ever made, and when they were revoked."""
        from pellucid.flow.tokens import list_tokens

        return list_tokens(self.workspace)

    def revoke_token(self, name: str) -> Token:
        """Takes a token back, for ever."""
        from pellucid.flow.tokens import revoke_token

        return revoke_token(self.workspace, name)
