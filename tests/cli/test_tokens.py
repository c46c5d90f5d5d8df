from __future__ import annotations

from pathlib import Path

from .conftest import Cli


def test_a_token_is_printed_once_and_alone(cli: Cli, here: Path) -> None:
    ended = cli("tokens", "create", "ann", "--role", "predict", "--role", "feedback", "--per-minute", "60")
    assert ended.code == 0
    assert ended.out.startswith("plt_")
    assert ended.out.count("\n") == 1
    assert "cannot be shown again" in ended.err
    listed = cli("tokens", "list")
    assert listed.out.splitlines()[1].split()[:4] == ["ann", "predict", "feedback", "60"]
    assert ended.out.strip() not in listed.out + cli("tokens", "list", "--json").out


def test_json_has_the_token_where_it_is_made_and_nowhere_else(cli: Cli, here: Path) -> None:
    made = cli("tokens", "create", "ann", "--role", "admin", "--json").json
    assert made["token"].startswith("plt_")
    assert (made["name"], made["rights"], made["per_minute"]) == ("ann", ["admin"], None)
    [listed] = cli("tokens", "list", "--json").json
    assert listed == {key: value for key, value in made.items() if key != "token"}


def test_revoked_tokens_are_shown_on_demand(cli: Cli, here: Path) -> None:
    cli("tokens", "create", "ann", "--role", "predict")
    assert cli("tokens", "revoke", "ann").out == "ann is revoked; whoever uses it is refused\n"
    assert cli("tokens", "list").out == ""
    assert "ann" in cli("tokens", "list", "--all").out
    assert cli("tokens", "revoke", "ann", "--json").json["revoked_at"]


def test_a_token_needs_a_role_that_exists(cli: Cli, here: Path) -> None:
    assert cli("tokens", "create", "ann").code == 2
    assert "'predict', 'feedback', 'admin'" in cli("tokens", "create", "ann", "--role", "boss").error
    assert cli("tokens", "create", "ann", "--role", "predict", "--per-minute", "0").code == 2
    assert "there is, or was, a token 'ann'" in (
        [cli("tokens", "create", "ann", "--role", "predict") for _ in range(2)][1].error
    )
