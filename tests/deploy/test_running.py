"""What the deployment runs, run here: commands, health checks, the jobs before the start, settings on real stores."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import sqlalchemy as sa
import yaml
from typer.main import get_command

from pellucid import Project
from pellucid.cli.app import app, main

from .conftest import Job, Server, ask
from .reading import DEPLOY, health_of, of_stage, services

# MLflow's own SQL; whoever imports it here is not silenced as Pellucid's mirror is.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning", "ignore::FutureWarning")

SERVICES = services()
README = (DEPLOY / "README.md").read_text(encoding="utf-8")
HTTP_CHECKS = {  # service: the path that the check asks
    "server": "/health/live",
    "mlflow": "/health",
    "prometheus": "/-/ready",
    "grafana": "/api/health",
}


def pellucid_commands() -> dict[str, list[str]]:
    """The words after `pellucid` of every command in the compose file, the Dockerfile and the README."""
    found = {"Dockerfile": of_stage("pellucid", "CMD").words}
    for name, service in SERVICES.items():
        if service.get("build", {}).get("target") == "pellucid" and "entrypoint" not in service:
            found[name] = service["command"]
        if health_of(name)[:1] == ["pellucid"]:
            found[f"{name}'s health"] = health_of(name)[1:]
    for number, line in enumerate(re.findall(r"^\$ docker compose (.*)$", README, re.MULTILINE)):
        words = shlex.split(line)
        if words[:3] == ["exec", "server", "pellucid"]:
            found[f"README {number}"] = words[3:]
        elif words[0] == "run":
            found[f"README {number}"] = words[words.index("worker") + 1 :]
    return found


COMMANDS = pellucid_commands()


def parse(words: list[str]) -> list[str]:
    """Parses the words as the command line does, executes nothing, and gives the names of the verbs."""
    command: Any = get_command(app)
    context = command.make_context("pellucid", list(words))
    verbs = []
    while hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)
        verbs.append(name)
        context = command.make_context(name, rest, parent=context)
    return verbs


def test_the_commands_are_all_found() -> None:
    assert {"server", "worker", "consumer", "Dockerfile", "worker's health", "consumer's health"} < set(COMMANDS)
    assert len([name for name in COMMANDS if name.startswith("README")]) == README.count("pellucid tokens") + 3


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_pellucid_exists_with_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    verbs = parse(COMMANDS[name])
    with pytest.raises(SystemExit) as ended:
        main([*verbs, "--help"])
    assert ended.value.code == 0
    assert " ".join(["pellucid", *verbs]) in " ".join(capsys.readouterr().out.split())


def test_a_command_that_does_not_exist_is_noticed() -> None:
    for words in (["no-such-verb"], ["worker", "--no-such-option"], ["queue", "no-such-verb"]):
        with pytest.raises(Exception, match=r"(?i)no such (command|option)"):
            parse(words)


@pytest.mark.filterwarnings("ignore")  # MLflow warns of its own annotations as it is imported
def test_the_command_of_mlflow_exists_with_its_options() -> None:
    from mlflow.cli import cli

    verb, *words = SERVICES["mlflow"]["command"]
    given = cli.commands[verb].make_context(verb, list(words)).params
    assert (given["host"], given["port"], int(given["workers"])) == ("0.0.0.0", 5000, 1)
    assert given["backend_store_uri"] == "postgresql+psycopg://mlflow@postgres/mlflow"
    assert "mlflow:5000" in given["allowed_hosts"].split(",")


class Answering(HTTPServer):
    """Answers every request with the status that is set, and keeps the paths that were asked."""

    status = 200

    def __init__(self) -> None:
        self.paths: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def answering() -> Iterator[Answering]:
    server = Answering()
    yield server
    server.shutdown()
    server.server_close()


def test_every_check_by_http_asks_the_right_path() -> None:
    asked = {}
    for name in SERVICES:
        if url := re.search(r"http://127\.0\.0\.1:\d+([^'\s]*)", " ".join(health_of(name))):
            asked[name] = url[1]
    assert asked == HTTP_CHECKS


# wget is on most machines; where it is not, the two checks by Python remain, and the paths above.
@pytest.mark.parametrize("name", [name for name in HTTP_CHECKS if shutil.which(health_of(name)[0])])
def test_a_check_by_http_tells_good_from_bad(name: str, answering: Answering) -> None:
    port = str(answering.server_port)
    words = [re.sub(r"(?<=127\.0\.0\.1:)\d+", port, word) for word in health_of(name)]
    words[0] = sys.executable if words[0] == "python" else words[0]
    proxied = {**os.environ, "http_proxy": "http://127.0.0.1:1"} if words[0] == sys.executable else dict(os.environ)

    def check() -> int:
        return subprocess.run(words, env=proxied, capture_output=True, timeout=60).returncode

    assert check() == 0
    assert answering.paths == [HTTP_CHECKS[name]]
    answering.status = 404
    assert check() != 0
    answering.shutdown()
    answering.server_close()
    assert check() != 0, "nobody listens"


def test_the_real_server_is_healthy_before_it_has_a_champion_and_says_how_it_does(
    tmp_path: Path, child_environ: dict[str, str]
) -> None:
    (tmp_path / "pellucid.toml").write_bytes((DEPLOY / "project" / "pellucid.toml").read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    words = [port if word == "8000" else word for word in SERVICES["server"]["command"]]
    check = [sys.executable, *(word.replace(":8000", f":{port}") for word in health_of("server")[1:])]
    with subprocess.Popen(
        [sys.executable, "-m", "pellucid", *words], cwd=tmp_path, env=child_environ, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        try:
            until = time.monotonic() + 120
            while subprocess.run(check, capture_output=True, timeout=60).returncode:
                assert server.poll() is None, "the server ended"
                assert time.monotonic() < until
                time.sleep(0.2)
            [job] = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
            page = httpx.get(f"http://127.0.0.1:{port}{job['metrics_path']}", trust_env=False)
            assert page.status_code == 200, "without a token"
            assert "# TYPE pellucid_" in page.text
            assert httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).status_code == 503
        finally:
            server.terminate()
        assert server.wait(30) == 0, "SIGTERM is a good end"


def test_the_check_of_the_worker_looks_at_its_stores(tmp_path: Path, child_environ: dict[str, str]) -> None:
    (tmp_path / "pellucid.toml").write_bytes((DEPLOY / "project" / "pellucid.toml").read_bytes())
    words = [sys.executable, "-m", *health_of("worker")]

    def check(**more: str) -> int:
        environ = {**child_environ, **more}
        return subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, timeout=120).returncode

    assert check() == 0
    assert check(PELLUCID_DATABASE_URL="postgresql+psycopg://pellucid@127.0.0.1:1/pellucid") != 0


def test_the_job_of_the_databases_can_be_repeated_and_brings_new_passwords(
    postgres_server: Server, databases: Job
) -> None:
    kept = "SELECT string_agg(rolname || rolpassword, ' ' ORDER BY rolname) FROM pg_authid WHERE rolname = 'pellucid'"
    databases()
    ask(postgres_server, "pellucid", "pellucid", "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)")
    first = ask(postgres_server, "postgres", "postgres", kept)
    databases(DATABASE_PASSWORD='it\'s "new" $1 \\')
    second = ask(postgres_server, "postgres", "postgres", kept)
    assert "SCRAM-SHA-256" in first
    assert first != second
    assert ask(postgres_server, "pellucid", "pellucid", "SELECT n FROM kept") == 7
    ask(postgres_server, "pellucid", "pellucid", "DROP TABLE kept")


def test_each_role_may_what_it_needs_and_no_more(postgres_server: Server, databases: Job) -> None:
    databases()
    ask(postgres_server, "pellucid", "pellucid", "CREATE TABLE own (n int)", "INSERT INTO own VALUES (1)")
    assert ask(postgres_server, "grafana", "pellucid", "SELECT n FROM own") == 1
    with pytest.raises(sa.exc.DBAPIError, match="read-only transaction"):
        ask(postgres_server, "grafana", "pellucid", "DELETE FROM own")
    with pytest.raises(sa.exc.DBAPIError, match="permission denied"):
        ask(postgres_server, "grafana", "pellucid", "SET TRANSACTION READ WRITE", "DELETE FROM own")
    for user, database in (("mlflow", "pellucid"), ("grafana", "mlflow")):
        with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
            ask(postgres_server, user, database, "SELECT 1")
    # What Pellucid makes in MLflow's database is MLflow's, and the other way round.
    ask(postgres_server, "pellucid", "mlflow", "CREATE TABLE a (n int)", "INSERT INTO a VALUES (1)")
    ask(postgres_server, "mlflow", "mlflow", "ALTER TABLE a ADD m int", "CREATE TABLE b (n int)")
    ask(postgres_server, "pellucid", "mlflow", "INSERT INTO b VALUES (2)", "DROP TABLE a, b")
    ask(postgres_server, "pellucid", "pellucid", "DROP TABLE own")


@pytest.fixture
def store(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The job of the bucket's own environment, on the real server; gives its address."""
    for name, value in SERVICES["bucket"]["environment"].items():
        monkeypatch.setenv(name, value.replace("http://minio:9000", s3_server))
    return s3_server


def make_bucket(name: str) -> None:
    words = [sys.executable, str(DEPLOY / Path(SERVICES["bucket"]["entrypoint"][1]).name), name]
    subprocess.run(words, check=True, timeout=60, env=os.environ)


def test_the_job_of_the_bucket_can_be_repeated_and_keeps_what_is_there(store: str) -> None:
    client = boto3.client("s3")
    make_bucket("twice")
    client.put_object(Bucket="twice", Key="kept", Body=b"7")
    make_bucket("twice")
    assert client.get_object(Bucket="twice", Key="kept")["Body"].read() == b"7"


def test_the_servers_settings_do_the_main_job_and_survive_a_backup(
    postgres_server: Server,
    databases: Job,
    store: str,
    tmp_path: Path,
    class_folders: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    databases()
    make_bucket(SERVICES["bucket"]["command"][0])
    folder = shutil.copytree(DEPLOY / "project", tmp_path / "project")
    for name, value in SERVICES["server"]["environment"].items():
        value = re.sub(r"@postgres/(\w+)", rf"@/\1?host={postgres_server.folder}", value)
        value = value.replace("http://minio:9000", store)
        monkeypatch.setenv(name, value.replace("/data/", f"{tmp_path}/data/"))
    with Project(folder) as project:
        project.ingest(class_folders(tmp_path / "photos", {"cat": 8, "dog": 8}), "pets", test_fraction=0.25)
        [model] = project.train("pets")
        project.promote(model.ref)
    assert [path.name for path in folder.iterdir()] == ["pellucid.toml"], "it is mounted read-only"
    stored = {item["Key"].split("/")[0] for item in boto3.client("s3").list_objects_v2(Bucket="pellucid")["Contents"]}
    assert stored == {"blobs", "artifacts"}
    assert ask(postgres_server, "grafana", "pellucid", "SELECT count(*) FROM sample") == 16
    assert ask(postgres_server, "mlflow", "mlflow", "SELECT name FROM registered_models") == "pets"

    def program(line: str, **streams: Any) -> None:
        name, *words = shlex.split(line)
        words += [f"--host={postgres_server.folder}"]
        subprocess.run([postgres_server.programs / name, *words], check=True, timeout=60, **streams)

    lines = re.findall(r"^\$ docker compose exec -T postgres (pg_\w+ .*?) [<>] (\S+)$", README, re.MULTILINE)
    assert [file for _, file in lines] == ["pellucid.dump", "mlflow.dump"] * 2
    for line, file in lines[:2]:
        with (tmp_path / file).open("wb") as dump:
            program(line, stdout=dump)
    ask(postgres_server, "pellucid", "pellucid", "DELETE FROM alias")
    for line, file in lines[2:]:
        with (tmp_path / file).open("rb") as dump:
            program(line, stdin=dump)
    assert ask(postgres_server, "grafana", "pellucid", "SELECT name FROM alias") == "pets"
    with Project(folder) as project:
        assert [answer.model for answer in project.predict(tmp_path / "photos" / "cat")] == ["pets@1"] * 8
    assert ask(postgres_server, "grafana", "pellucid", "SELECT count(*) FROM sample") == 16
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied for table token"):
        ask(postgres_server, "grafana", "pellucid", "SELECT count(*) FROM token")
