"""The dashboards' files, and their queries as Grafana would send them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import yaml

from .reading import DEPLOY

GRAFANA = DEPLOY / "grafana"


def dashboards() -> dict[str, dict[str, Any]]:
    """The dashboards by uid."""
    files = sorted((GRAFANA / "dashboards").glob("*.json"))
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {board["uid"]: board for board in found}


def sources() -> dict[str, str]:
    """The type of each provisioned data source, by uid."""
    (file,) = (GRAFANA / "provisioning" / "datasources").iterdir()
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {source["uid"]: source["type"] for source in config["datasources"]}


@dataclass(frozen=True)
class Query:
    """One query of a panel."""

    board: str  # uid
    panel: str  # title
    target: Mapping[str, Any] = field(hash=False)

    @property
    def source(self) -> str:
        """The data source's uid."""
        return str(self.target["datasource"]["uid"])

    @property
    def text(self) -> str:
        """As it stands in the file."""
        return str(self.target.get("rawSql") or self.target["expr"])

    def __str__(self) -> str:
        return f"{self.board}: {self.panel} {self.target['refId']}"


def queries(board: Mapping[str, Any]) -> list[Query]:
    """All queries of a dashboard."""
    return [Query(board["uid"], panel["title"], target) for panel in board["panels"] for target in panel["targets"]]


def as_sent(text: str, start: datetime, end: datetime, variables: Mapping[str, str], *, seconds: int = 60) -> str:
    """The query with Grafana's macros and variables replaced, as Grafana's back ends do it.

    Raises:
        AssertionError: something with a dollar is left that this does not know.
    """
    times = (f"'{start.isoformat()}'", f"'{end.isoformat()}'")
    text = re.sub(r"\$__timeFilter\(([^()]+)\)", rf"\1 BETWEEN {times[0]} AND {times[1]}", text)
    group = r"\$__timeGroup(Alias)?\(([^,()]+),\s*([^,()]+)\)"
    text = re.sub(
        group,
        lambda found: (
            f"to_timestamp(floor(extract(epoch FROM {found[2]}) / {_seconds(found[3], seconds)})"
            f" * {_seconds(found[3], seconds)})" + (' AS "time"' if found[1] else "")
        ),
        text,
    )
    for name, value in (("timeFrom()", times[0]), ("timeTo()", times[1])):
        text = text.replace(f"$__{name}", value)
    for name in ("rate_interval", "interval", "range"):
        text = text.replace(f"$__{name}", f"{seconds}s")
    for name, value in variables.items():
        quoted = "'" + value.replace("'", "''") + "'"
        text = text.replace(f"${{{name}:sqlstring}}", quoted).replace(f"${{{name}}}", value)
        text = re.sub(rf"\${name}\b", lambda found, value=value: value, text)  # type: ignore[misc]
    assert "$" not in text, text
    return text


def _seconds(text: str, interval: int) -> int:
    text = text.strip().strip("'")
    if text == "$__interval":
        return interval
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]]
