"""Make, list and revoke the tokens of the HTTP server."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field

from pellucid.errors import UsageError
from pellucid.flow.workspace import Workspace
from pellucid.store import tokens
from pellucid.store.tokens import Token
from pellucid.types import Right

PREFIX = "plt_"  # lets scanners of source code and logs see what it is
_BYTES = 32  # of randomness, 256 bits: no list of guesses helps against the digest, so it needs no salt
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
_MOST_A_MINUTE = 1_000_000


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token at the one moment when it is known."""

    token: Token
    secret: str = field(repr=False)  # to be shown once and kept nowhere


def digest_of(secret: str) -> str:
    """What is stored of a token: its sha256, 64 hexadecimal digits.

    >>> digest_of("plt_x")[:12]
    'aa17e1991045'
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def create_token(
    workspace: Workspace, name: str, rights: Collection[str], *, per_minute: int | None = None
) -> NewToken:
    """Makes a token; the server knows it within two seconds.

    Args:
        name: of whoever will hold it; it stands in the records beside what the holder says.
        rights: what it is good for, of ``predict``, ``feedback`` and ``admin``.
        per_minute: requests that it may be used for in a minute; None for no limit.

    Raises:
        UsageError: the name is taken or unusable, a right does not exist or none is given, or the limit is below 1.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a token; wanted are 1 to 100 letters, digits, '.', '_', '@' and '-', "
            "a letter or a digit first"
        )
    unknown = [right for right in rights if right not in set(Right)]
    if unknown or not rights:
        offered = f"{unknown[0]!r} is no role" if unknown else "a token without a role is good for nothing"
        raise UsageError(f"{offered}; wanted is one or more of {', '.join(Right)}")
    if per_minute is not None and not 1 <= per_minute <= _MOST_A_MINUTE:
        raise UsageError(f"{per_minute} requests a minute; wanted is 1 to {_MOST_A_MINUTE}, or nothing for no limit")
    chosen = tuple(right for right in Right if right in rights)
    secret = PREFIX + secrets.token_urlsafe(_BYTES)
    with workspace.database.write() as connection:
        return NewToken(tokens.add_token(connection, name, digest_of(secret), chosen, per_minute), secret)


def list_tokens(workspace: Workspace) -> list[Token]:
    """All tokens, revoked ones too, oldest first."""
    with workspace.database.read() as connection:
        return tokens.list_tokens(connection)


def revoke_token(workspace: Workspace, name: str) -> Token:
    """Ends a token for good; running servers refuse it within two seconds.

    Raises:
        NotFoundError: there is no token of that name.
    """
    with workspace.database.write() as connection:
        return tokens.revoke_token(connection, name)
