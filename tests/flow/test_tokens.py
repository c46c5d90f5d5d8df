from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from pellucid import Project
from pellucid.errors import NotFoundError, UsageError
from pellucid.flow.tokens import create_token, digest_of, list_tokens, revoke_token
from pellucid.types import Right


def test_a_token_is_long_random_and_stored_nowhere(project: Project) -> None:
    made = [create_token(project.workspace, f"t{at}", ["predict"]).secret for at in range(20)]
    assert len(set(made)) == 20
    assert all(re.fullmatch(r"plt_[A-Za-z0-9_-]{43}", secret) for secret in made)
    project.close()
    stored = b"".join(path.read_bytes() for path in Path(project.workspace.root).rglob("*") if path.is_file())
    assert b"t19" in stored
    assert hashlib.sha256(made[19].encode()).hexdigest().encode() in stored
    for secret in made:
        assert secret[4:].encode() not in stored


def test_a_token_does_not_show_itself(project: Project) -> None:
    made = create_token(project.workspace, "ann", ["predict"])
    assert made.secret not in repr(made)
    assert digest_of(made.secret) not in repr(made)


def test_rights_are_kept_in_their_order_and_once(project: Project) -> None:
    made = create_token(project.workspace, "ann", ["feedback", "predict", "feedback"], per_minute=60)
    assert made.token.rights == (Right.PREDICT, Right.FEEDBACK)
    assert list_tokens(project.workspace) == [made.token]


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "a\n", "ä", "x" * 101, "../x"])
def test_names_that_no_record_could_hold_are_refused(project: Project, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a token; wanted are"):
        create_token(project.workspace, name, ["predict"])


@pytest.mark.parametrize(("rights", "says"), [([], "good for nothing"), (["predict", "boss"], "'boss' is no role")])
def test_rights_must_exist(project: Project, rights: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        create_token(project.workspace, "ann", rights)


@pytest.mark.parametrize("limit", [0, -1, 1_000_001])
def test_a_limit_out_of_range_is_refused(project: Project, limit: int) -> None:
    with pytest.raises(UsageError, match="wanted is 1 to 1000000"):
        create_token(project.workspace, "ann", ["predict"], per_minute=limit)


def test_revoking_is_final_and_the_name_is_gone(project: Project) -> None:
    create_token(project.workspace, "ann", ["predict"])
    ended = revoke_token(project.workspace, "ann")
    assert ended.revoked_at is not None
    assert revoke_token(project.workspace, "ann") == ended
    with pytest.raises(UsageError, match="choose another"):
        create_token(project.workspace, "ann", ["admin"])
    with pytest.raises(NotFoundError, match="no token 'bob'; the project has: none yet"):
        revoke_token(project.workspace, "bob")
