"""Dashboards: complete as files, and every query of every panel answered by a real Prometheus and PostgreSQL."""

from __future__ import annotations

import math
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa
import yaml

from pellucid import Project
from pellucid.store.events import NewEvent, append_events
from pellucid.store.firings import FiringState, end, fire
from pellucid.store.offsets import advance
from pellucid.store.schema import metadata
from pellucid.store.verdicts import add_verdict

from ..conftest import PATIENCE, until
from .conftest import Server, ask, make_databases, started_postgres
from .dashboards import GRAFANA, Query, as_sent, dashboards, queries, sources
from .reading import DEPLOY, services

# MLflow's own SQL; whoever imports it here is not silenced as Pellucid's mirror is.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning", "ignore::FutureWarning")

BOARDS = dashboards()
QUERIES = [query for board in BOARDS.values() for query in queries(board)]
TYPES = {"prometheus": "prometheus", "postgres": "grafana-postgresql-datasource"}  # provisioned, and in a panel
WITHHELD = {"token", "session"}
UNITS = {"short", "s", "bytes", "percentunit", "reqps", "bool_yes_no"}


def test_the_four_dashboards_are_there_under_uids_that_stay() -> None:
    assert set(BOARDS) == {"pellucid-predictions", "pellucid-serving", "pellucid-data", "pellucid-loop"}


def test_grafana_finds_them() -> None:
    (file,) = (GRAFANA / "provisioning" / "dashboards").iterdir()
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert config["apiVersion"] == 1
    (provider,) = config["providers"]
    assert provider["type"] == "file"
    mounted = dict(mount.split(":")[:2] for mount in services()["grafana"]["volumes"])
    assert provider["options"]["path"] == mounted["./grafana/dashboards"]
    assert mounted["./grafana/provisioning"] == "/etc/grafana/provisioning"


@pytest.mark.parametrize("uid", BOARDS)
def test_a_dashboard_is_complete(uid: str) -> None:
    board = BOARDS[uid]
    assert board["title"].startswith("Pellucid: ")
    assert board["description"]
    assert board["schemaVersion"] >= 36
    assert re.fullmatch(r"now-\d+[hd]", board["time"]["from"])
    assert board["refresh"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(titles)) == len(titles)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies upon another panel"
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("uid", BOARDS)
def test_every_panel_says_what_it_shows_in_which_unit_and_from_a_source_that_exists(uid: str) -> None:
    known = sources()
    for panel in BOARDS[uid]["panels"]:
        title = panel["title"]
        assert len(panel["description"]) > 5, title
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"] in UNITS, title
        assert defaults["thresholds"]["steps"][0]["value"] is None, title
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references) > 0, title
        for target in panel["targets"]:
            source = target["datasource"]
            assert source["type"] == TYPES[known[source["uid"]]], title
            if panel["type"] == "timeseries" and source["uid"] == "prometheus":
                assert target["legendFormat"], f"{title} has no legend"
            if "legendFormat" in target:
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    assert label == "instance" or label in target["expr"], f"{title} has no label {label}"
    for variable in BOARDS[uid]["templating"]["list"]:
        used = [query for query in queries(BOARDS[uid]) if f"${variable['name']}" in query.text.replace("{", "")]
        linked = f"${{{variable['name']}}}" in str(BOARDS[uid]["panels"])
        assert used or linked, variable["name"]


def test_every_metric_that_is_charted_or_alerted_on_is_described_in_the_document() -> None:
    text = (DEPLOY.parent / "docs" / "monitoring.md").read_text(encoding="utf-8")
    alerts = (DEPLOY / "alerts.yml").read_text(encoding="utf-8")
    named = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for source in (alerts, *(query.text for query in QUERIES))
        for name in re.findall(r"\bpellucid_[a-z_]+", source)
    }
    assert sorted(name for name in named if f"`{name}" not in text) == []


def test_macros_are_replaced_as_grafana_does_it() -> None:
    start, stop = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    text = "SELECT $__timeGroupAlias(p.at, $__interval) WHERE $__timeFilter(p.at) AND d = ${dataset:sqlstring}"
    assert as_sent(text, start, stop, {"dataset": "o'x"}) == (
        'SELECT to_timestamp(floor(extract(epoch FROM p.at) / 60) * 60) AS "time" WHERE p.at BETWEEN '
        "'2026-01-01T00:00:00+00:00' AND '2026-01-02T00:00:00+00:00' AND d = 'o''x'"
    )
    assert as_sent('rate(x{i=~"$instance"}[$__rate_interval])', start, stop, {"instance": ".*"}) == (
        'rate(x{i=~".*"}[60s])'
    )
    with pytest.raises(AssertionError):
        as_sent("$__unknown(x)", start, stop, {})


def test_what_is_withheld_is_what_people_log_in_with() -> None:
    """Whoever makes another such table has to name it in databases.sql."""
    assert {table.name for table in metadata.tables.values() if "digest" in table.columns} == WITHHELD
    (listed,) = re.findall(r"relname IN \(([^)]+)\)", (DEPLOY / "databases.sql").read_text(encoding="utf-8"))
    assert set(re.findall(r"'(\w+)'", listed)) == WITHHELD


def test_grafana_reads_all_tables_but_those(tmp_path: Path) -> None:
    with started_postgres() as server:

        def may(table: str) -> bool:
            privilege = f"SELECT has_any_column_privilege('grafana', '\"{table}\"', 'SELECT')"
            return bool(ask(server, "postgres", "pellucid", privilege))

        make_databases(server)
        Project.init(tmp_path / "first").close()
        with Project(tmp_path / "first", settings={"database_url": server.url("pellucid", "pellucid")}, environ={}):
            pass  # the server's own migrations, after the job
        tables = set(metadata.tables)
        assert {name for name in tables if not may(name)} == WITHHELD
        make_databases(server)
        assert {name for name in tables if not may(name)} == WITHHELD, "the job grants again, and not these"
        owner = ("pellucid", "pellucid")
        ask(server, *owner, "ALTER TABLE session RENAME TO kept", "CREATE TABLE session AS SELECT 1 AS n")
        assert not may("session")
        ask(server, *owner, "GRANT SELECT ON token TO grafana", "GRANT SELECT (name) ON token TO grafana")
        assert not may("token")
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied for table token"):
            ask(server, "grafana", "pellucid", "SELECT name FROM token")
        assert ask(server, "grafana", "pellucid", "SELECT count(*) FROM prediction") == 0
        # as it was before this was withheld: the job mends a database that has granted it already
        ask(
            server,
            "postgres",
            "pellucid",
            "DROP EVENT TRIGGER withhold_from_grafana",
            "GRANT SELECT ON token TO grafana",
        )
        assert may("token")
        make_databases(server)
        assert not may("token")
        assert ask(server, "grafana", "pellucid", "SHOW statement_timeout") == "30s"


@dataclass(frozen=True)
class Watched:
    """A server that has been used, and a Prometheus that scrapes it."""

    postgres: Server
    prometheus: str  # its address
    began: datetime

    def prom(self, path: str, **options: Any) -> list[dict[str, Any]]:
        """The series of an answer of Prometheus."""
        answer = httpx.get(f"{self.prometheus}/api/v1/{path}", params=options, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["status"] == "success", found
        assert not found.get("warnings"), found
        return list(found["data"]["result"])

    def rows(self, text: str) -> list[dict[str, Any]]:
        """What PostgreSQL answers the role of Grafana."""
        with psycopg.connect(
            host=str(self.postgres.folder), user="grafana", dbname="pellucid", row_factory=psycopg.rows.dict_row
        ) as connection:
            return connection.execute(text).fetchall()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def running(words: list[str], folder: Path, environ: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended with the block, whatever happens in it."""
    with (
        (folder / "stderr").open("w") as log,
        subprocess.Popen(words, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()


def play(url: str, picture: Callable[..., bytes], first: int, last: int) -> None:
    """Asks about the images of these numbers, and says of every third one what it shows, of every sixth wrongly."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        for number in range(first, last):
            label, other = ("cat", "dog") if number % 2 else ("dog", "cat")
            data = picture(label, 1000 + number)
            answer = client.post("/predict", content=data, headers={"content-type": "image/png"})
            assert answer.status_code == 200, answer.text
            if number % 3 == 0:
                (found,) = answer.json()["predictions"]
                said = {"prediction": found["id"], "label": other if number % 2 else label, "voter": f"ann{number % 2}"}
                heard = client.post("/feedback", json=said)
                assert heard.status_code == 200, heard.text


def steer(project: Project) -> None:
    """What workers and consumers leave behind, by the functions that they use."""
    database = project.workspace.database
    with database.write() as connection:
        figures = {"summary": "0.90 against 0.80", "reasons": ["a class fell"], "judged": True}
        add_verdict(connection, "pets", 1, None, passed=True, figures=figures, actor="worker")
        fired = fire(database, connection, "pets", "votes", "1", worker="worker", lease=60.0, detail={})
        assert fired is not None
        end(connection, fired, FiringState.NOTHING, message="nothing new was said")
        append_events(connection, "images", [NewEvent((), b"x")] * 3)
        advance(connection, "predict", "images", 0, 2)


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory,
    class_folders: Callable[..., Path],
    picture: Callable[..., bytes],
    child_environ: dict[str, str],
) -> Iterator[Watched]:
    """A real server on a real PostgreSQL, asked and corrected, and a real Prometheus that looks at it every second."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed; the CI installs it")
    folder = tmp_path_factory.mktemp("watched")
    began = datetime.now(UTC)
    with started_postgres() as postgres:
        make_databases(postgres)
        url = postgres.url("pellucid", "pellucid")
        Project.init(folder / "project").close()
        with Project(folder / "project", settings={"database_url": url, "threads": 1}, environ={}) as project:
            project.ingest(class_folders(folder / "photos", {"cat": 12, "dog": 12}), "pets", test_fraction=0.25)
            project.train("pets")
            project.promote("pets@1")
            steer(project)
        words = [sys.executable, "-m", "pellucid", "serve", "pets", "--open", "--port", "0"]
        environ = {**child_environ, "PELLUCID_DATABASE_URL": url}
        (folder / "prometheus").mkdir()
        with running(words, folder / "project", environ) as server:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), (folder / "project" / "stderr").read_text()
            play(address, picture, 0, 54)  # enough to tell drift from
            config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
            config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
            config["rule_files"] = [str(DEPLOY / name) for name in config["rule_files"]]
            config["scrape_configs"][0]["static_configs"] = [{"targets": [address.removeprefix("http://")]}]
            (folder / "prometheus" / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
            port = free_port()
            words = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
            words += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
            with running(words, folder / "prometheus"):
                found = Watched(postgres, f"http://127.0.0.1:{port}", began)

                def up() -> bool:
                    with suppress(httpx.TransportError):
                        ready = httpx.get(f"{found.prometheus}/-/ready", trust_env=False, timeout=30).status_code == 200
                        return ready and bool(found.prom("query", query="pellucid_http_requests_total"))
                    return False

                until(up)
                play(address, picture, 54, 60)  # what has risen since the first scrape has a rate
                yield found


def test_every_query_of_every_panel_is_answered(watched: Watched) -> None:
    left = {str(query): (query, "not asked") for query in QUERIES}
    assert len(left) == len(QUERIES)
    deadline = time.monotonic() + PATIENCE
    while left and time.monotonic() < deadline:
        for name, (query, _) in list(left.items()):
            if trouble := trouble_with(watched, query):
                left[name] = (query, trouble)
            else:
                del left[name]
        time.sleep(0.2)
    assert not left, "\n".join(f"{name}: {trouble}\n  {query.text}" for name, (query, trouble) in left.items())


def trouble_with(watched: Watched, query: Query) -> str:
    """Why the panel would be empty; nothing where it would not."""
    stop = datetime.now(UTC) + timedelta(seconds=1)
    text = as_sent(query.text, watched.began, stop, {"instance": ".*", "dataset": "pets"})
    if query.source == "pellucid":
        rows = watched.rows(text)
        if query.target["format"] == "time_series" and rows:
            assert isinstance(rows[0]["time"], datetime)
        return "" if any(value is not None for row in rows for value in row.values()) else "no rows"
    if query.target["instant"]:
        found = [item["value"] for item in watched.prom("query", query=text)]
    else:
        span = {"start": stop.timestamp() - 15, "end": stop.timestamp(), "step": 1}
        found = [pair for item in watched.prom("query_range", query=text, **span) for pair in item["values"]]
    return "" if any(math.isfinite(float(value)) for _, value in found) else f"{len(found)} samples, none a number"


def test_an_empty_panel_and_a_broken_query_would_be_noticed(watched: Watched) -> None:
    nothing = {"refId": "A", "datasource": {"uid": "prometheus"}, "expr": "pellucid_no_such_metric", "instant": True}
    assert trouble_with(watched, Query("x", "x", nothing)) == "0 samples, none a number"
    assert "0 samples" in trouble_with(watched, Query("x", "x", {**nothing, "instant": False}))
    with pytest.raises(AssertionError, match="parse error"):
        trouble_with(watched, Query("x", "x", {**nothing, "expr": "sum("}))
    table = {"refId": "A", "datasource": {"uid": "pellucid"}, "format": "table"}
    assert trouble_with(watched, Query("x", "x", {**table, "rawSql": "SELECT 1 FROM prediction WHERE false"}))
    with pytest.raises(psycopg.errors.UndefinedColumn):
        trouble_with(watched, Query("x", "x", {**table, "rawSql": "SELECT nothing FROM prediction"}))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        trouble_with(watched, Query("x", "x", {**table, "rawSql": "SELECT name FROM token"}))


def test_the_variables_have_values(watched: Watched) -> None:
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "textbox":
                continue
            if variable["datasource"]["uid"] == "pellucid":
                assert watched.rows(variable["query"]) == [{"name": "pets"}]
            else:
                found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                assert found
                assert [item["metric"][found[2]] for item in watched.prom("query", query=found[1])]


def test_the_first_table_shows_predictions_beside_the_data(watched: Watched) -> None:
    (query,) = (item for item in QUERIES if item.panel == "Live predictions")
    stop = datetime.now(UTC) + timedelta(seconds=1)
    rows = watched.rows(as_sent(query.text, watched.began, stop, {"dataset": "pets"}))
    assert len(rows) == 60
    assert {"picture", "predicted", "confidence", "given"} <= set(rows[0])
    given = [row for row in rows if row["given"] is not None]
    assert len(given) == 20
    assert all(row["agrees"] == (row["given"] == row["predicted"]) for row in given)
    assert {row["agrees"] for row in given} == {True, False}
    assert [row["time"] for row in rows] == sorted((row["time"] for row in rows), reverse=True)


def test_no_alert_fires_on_a_server_that_is_well(watched: Watched) -> None:
    firing = watched.prom("query", query='ALERTS{alertstate="firing"}')
    assert [item["metric"]["alertname"] for item in firing] == []
