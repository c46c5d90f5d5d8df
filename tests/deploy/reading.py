"""The deployment's files, as Compose and the engine read them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<sign>:\?|:-)(?P<rest>[^}]*)\}")


class Missing(Exception):  # noqa: N818 - Compose's own word for it
    """A variable without a value, which Compose refuses."""


def resolve(value: Any, environ: Mapping[str, str]) -> Any:
    """The value with its variables replaced as Compose does it; an empty variable counts as none."""
    if isinstance(value, dict):
        return {key: resolve(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, environ) for item in value]
    if not isinstance(value, str):
        return value

    def replaced(found: re.Match[str]) -> str:
        given = environ.get(found["name"])
        if not given and found["sign"] == ":?":
            raise Missing(f"{found['name']}: {found['rest']}")
        return given or found["rest"]

    return VARIABLE.sub(replaced, value)


def example() -> dict[str, str]:
    """The variables of .env.example."""
    lines = (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def raw_compose() -> dict[str, Any]:
    """compose.yaml with its variables as they stand there."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


def services() -> dict[str, dict[str, Any]]:
    """The services by name, every secret set to a word that names it."""
    environ = {name: f"{name.lower().replace('_', '-')}-value" for name in secrets()}
    found: dict[str, dict[str, Any]] = resolve(raw_compose()["services"], environ)
    return found


def secrets() -> set[str]:
    """The variables without which Compose does not start."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    return {found["name"] for found in VARIABLE.finditer(text) if found["sign"] == ":?"}


@dataclass(frozen=True)
class Instruction:
    """One line of a Dockerfile, with those that continue it."""

    stage: str  # the stage that it belongs to
    word: str  # FROM, COPY, ...
    rest: str

    @property
    def words(self) -> list[str]:
        """The arguments; the exec form's where it is one."""
        start = self.rest.find("[")
        if start >= 0 and self.rest.endswith("]"):
            return [str(word) for word in json.loads(self.rest[start:])]
        return shlex.split(self.rest)


def dockerfile() -> list[Instruction]:
    """The instructions in order."""
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if line and not line.startswith("#")).replace("\\\n", " ")
    found: list[Instruction] = []
    stage = ""
    for line in text.splitlines():
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            stage = rest.split(" AS ")[1]
        found.append(Instruction(stage, word, " ".join(rest.split())))
    return found


def lineage(stage: str) -> list[str]:
    """The stage and those that it is built on, the nearest first, and the image below them at the end."""
    parents = {item.stage: item.rest.split(" AS ")[0] for item in dockerfile() if item.word == "FROM"}
    found = [stage]
    while found[-1] in parents:
        found.append(parents[found[-1]])
    return found


def of_stage(stage: str, word: str) -> Instruction:
    """The instruction of that word that counts in the stage: the last one of the nearest stage that has one."""
    for name in lineage(stage):
        found = [item for item in dockerfile() if (item.stage, item.word) == (name, word)]
        if found:
            return found[-1]
    raise AssertionError(f"{stage} has no {word}")


def health_of(name: str) -> list[str]:
    """The words that are executed in the service to see whether it is healthy; none where it has no check."""
    service = services()[name]
    check = service.get("healthcheck")
    if check is None:
        return of_stage(service["build"]["target"], "HEALTHCHECK").words if "build" in service else []
    if check.get("disable"):
        return []
    kind, *words = map(str, check["test"])
    assert kind == "CMD", "no shell in between"
    return words
