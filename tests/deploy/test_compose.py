"""compose.yaml and what it mounts: complete, consistent among themselves, and without a secret."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import jsonschema
import pytest
import sqlalchemy as sa
import yaml

from pellucid.config import load_settings, setting_fields
from pellucid.stream.event import MAX_DATA_BYTES, MAX_HEADER_BYTES

from .reading import (
    DEPLOY,
    VARIABLE,
    Missing,
    example,
    health_of,
    lineage,
    of_stage,
    raw_compose,
    resolve,
    secrets,
    services,
)

SERVICES = services()
LASTING = sorted(name for name, service in SERVICES.items() if service["restart"] != "no")
PORTS = {"server": 8000, "postgres": 5432, "minio": 9000, "kafka": 9092, "mlflow": 5000, "prometheus": 9090}
PORTS["grafana"] = 3000

# Of the Compose specification, what is used here; Compose refuses a key that it does not know.
SERVICE_KEYS = {
    "build", "cap_drop", "command", "depends_on", "deploy", "entrypoint", "environment", "healthcheck", "image", "init",
    "logging", "networks", "ports", "profiles", "read_only", "restart", "security_opt", "shm_size", "stop_grace_period",
    "tmpfs", "user", "volumes", "working_dir",
}  # fmt: skip
CHECK_KEYS = {"test", "interval", "timeout", "start_period", "retries", "disable"}

# Of Prometheus's configuration, what is used here; Prometheus refuses a key that it does not know.
DURATION = {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))+$"}
PROMETHEUS = {
    "type": "object",
    "required": ["scrape_configs"],
    "additionalProperties": False,
    "properties": {
        "global": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"scrape_interval": DURATION, "evaluation_interval": DURATION},
        },
        "rule_files": {"type": "array", "items": {"type": "string"}},
        "scrape_configs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["job_name", "static_configs"],
                "additionalProperties": False,
                "properties": {
                    "job_name": {"type": "string", "minLength": 1},
                    "metrics_path": {"type": "string", "pattern": "^/"},
                    "static_configs": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {"targets": {"type": "array", "items": {"pattern": r"^[a-z.-]+:\d+$"}}},
                        },
                    },
                },
            },
        },
    },
}


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [str(value)]


def needs(name: str) -> dict[str, str]:
    return {other: item["condition"] for other, item in SERVICES[name].get("depends_on", {}).items()}


def environment(name: str) -> dict[str, str]:
    found: dict[str, str] = SERVICES[name].get("environment", {})
    return found


def reached(name: str, word: str) -> tuple[str, int] | None:
    """The other service, and its port, that an address in the service's settings leads to."""
    url = re.match(r"(?:[a-z0-9+]+://)?(?:\w+@)?([a-z]+)(?::(\d+))?(?:/|$)", word)
    if not url or url[1] not in SERVICES or url[1] == name or not ("://" in word or url[2]):
        return None
    return url[1], int(url[2] or PORTS[url[1]])


def test_compose_knows_every_key() -> None:
    raw = raw_compose()
    assert {key for key in raw if not key.startswith("x-")} == {"name", "services", "networks", "volumes"}
    for name, service in SERVICES.items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service.get("healthcheck", {})) <= CHECK_KEYS, name
        assert all(isinstance(value, str) for value in environment(name).values()), "YAML's own types surprise"


def test_every_variable_is_documented_and_used() -> None:
    used = {found["name"] for found in VARIABLE.finditer((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))}
    assert used == set(example())
    assert not [name for name in used if name.startswith("PELLUCID_")], "those are settings"
    assert not any(example().values()), "an example with values is taken as it stands"


def test_no_text_with_a_dollar_escapes_the_variables() -> None:
    assert not [text for text in strings(raw_compose()) if "$" in VARIABLE.sub("", text)]


def test_nothing_starts_without_each_of_the_secrets() -> None:
    assert {name for name in example() if "PASSWORD" in name} <= secrets()
    everything = dict.fromkeys(secrets(), "x")
    resolve(raw_compose(), everything)
    for name in secrets():
        with pytest.raises(Missing, match=rf"{name}: set it in \.env, .{{10,}}"):
            resolve(raw_compose(), everything | {name: ""})


def test_no_secret_is_written_down() -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY|ROOT_USER")
    for name, service in raw_compose()["services"].items():
        for key, value in service.get("environment", {}).items():
            if secret.search(key):
                assert VARIABLE.fullmatch(value), (name, key)
                assert ":?" in value, (name, key)
        words = strings([service.get("command"), service.get("entrypoint"), service.get("healthcheck")])
        assert not [word for word in words if any(item in word for item in secrets())], "a process list shows these"
    for file in DEPLOY.rglob("*"):
        if file.is_file() and file.name != ".env":
            assert not re.search(r"://[^\s/@]+:[^\s/@]+@", file.read_text(encoding="utf-8")), file


def test_the_values_of_the_secrets_stay_out_of_the_repository_and_of_the_image() -> None:
    assert "deploy/.env" in (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert (DEPLOY.parent / ".dockerignore").read_text(encoding="utf-8").splitlines()[1] == "*"


@pytest.mark.parametrize(
    "name", sorted(name for name in SERVICES if any("PELLUCID_" in key for key in environment(name)))
)
def test_every_setting_exists_and_loads(name: str) -> None:
    known = {f"PELLUCID_{item.name.upper()}": item.name for item in setting_fields()}
    given = {key: value for key, value in environment(name).items() if key.startswith("PELLUCID_")}
    assert set(given) <= set(known), f"{name} sets what is no setting"
    settings = load_settings(DEPLOY / "project", environ=given)
    assert {settings.origins[known[key]] for key in given} == set(given)
    assert {key: getattr(settings, known[key]) for key in given} == given


def test_the_order_has_no_cycle_and_each_condition_can_come_true() -> None:
    started: list[str] = []
    while len(started) < len(SERVICES):
        ready = [name for name in SERVICES if name not in started and set(needs(name)) <= set(started)]
        assert ready, f"a cycle among {set(SERVICES) - set(started)}"
        started += ready
    for name in SERVICES:
        for other, condition in needs(name).items():
            if condition == "service_healthy":
                assert health_of(other), (name, other)
            else:
                assert condition == "service_completed_successfully"
                assert other not in LASTING, "it would never end"
            profiles = SERVICES[other].get("profiles", [])
            assert not profiles or set(SERVICES[name].get("profiles", [])) <= set(profiles), f"{other} may be off"


def test_whatever_a_service_talks_to_is_there_before_it_and_listens_there() -> None:
    seen = set()
    for name, service in SERVICES.items():
        for word in strings([environment(name), service.get("command", [])]):
            target = reached(name, word.split("=", 1)[-1] if word.startswith("--") else word)
            if target is None:
                continue
            other, port = target
            seen.add((name, other))
            assert port == PORTS[other], (name, word)
            assert set(service["networks"]) & set(SERVICES[other]["networks"]), (name, other)
            before, look = set(), [name]
            while look:
                look += [more for more in needs(look.pop()) if more not in before and not before.add(more)]  # type: ignore[func-returns-value]
            assert other in before, (name, other)
    assert {("server", "postgres"), ("worker", "minio"), ("consumer", "kafka"), ("mlflow", "postgres")} <= seen


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_watched_and_comes_back(name: str) -> None:
    assert health_of(name)
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_limited(name: str) -> None:
    service = SERVICES[name]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service["security_opt"] == ["no-new-privileges:true"]
    if "build" in service:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    else:
        assert re.fullmatch(r"[a-z/]+:\D*\d+[.-]\d.*", service["image"]), "a release, so that a pull changes nothing"


def test_profiles_are_the_three_that_the_readme_names() -> None:
    by_profile: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        [profile] = service.get("profiles", [""])
        by_profile.setdefault(profile, set()).add(name)
    assert by_profile == {
        "": {"server", "worker", "postgres", "minio", "databases", "bucket"},
        "stream": {"kafka", "consumer"},
        "watch": {"mlflow", "prometheus", "grafana"},
    }


def test_only_three_publish_a_port_and_only_on_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"server", "grafana", "mlflow"}
    for name, ports in published.items():
        assert ports == [f"127.0.0.1:{PORTS[name]}:{PORTS[name]}"], name
        assert "front" in SERVICES[name]["networks"], "the other network has no way out"
    assert {name for name, service in SERVICES.items() if "front" in service["networks"]} == set(published)
    networks = raw_compose()["networks"]
    assert networks["back"] == {"internal": True}
    assert set(networks) == {"front", "back"}


def test_every_part_means_the_same_port() -> None:
    assert of_stage("pellucid", "EXPOSE").rest == "8000"
    assert of_stage("mlflow", "EXPOSE").rest == "5000"
    assert SERVICES["server"]["command"][-2:] == of_stage("pellucid", "CMD").words[-2:] == ["--port", "8000"]
    assert "--port=5000" in SERVICES["mlflow"]["command"]
    for name in set(LASTING) - {"worker", "consumer", "minio"}:  # mc's `local` is port 9000
        assert re.search(rf"\b{PORTS[name]}\b", " ".join(health_of(name))), name
    assert SERVICES["minio"]["command"][-1] == ":9000"
    assert SERVICES["minio"]["healthcheck"]["test"] == ["CMD", "mc", "ready", "local"]


def test_kafka_says_where_its_clients_reach_it_and_takes_the_largest_event() -> None:
    address = environment("consumer")["PELLUCID_STREAM_URL"].removeprefix("kafka://")
    assert environment("kafka")["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{address}"
    assert environment("kafka")["KAFKA_LISTENERS"].startswith(f"PLAINTEXT://:{PORTS['kafka']},")
    assert environment("kafka")["KAFKA_LOG_DIRS"] == SERVICES["kafka"]["volumes"][0].split(":")[1]
    # librdkafka's own headroom for a batch is below a KiB; see KafkaTransport.
    assert int(environment("kafka")["KAFKA_MESSAGE_MAX_BYTES"]) >= MAX_DATA_BYTES + MAX_HEADER_BYTES + 4096


def test_all_that_is_mounted_exists() -> None:
    used = set()
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source, target, *mode = mount.split(":")
            assert target.startswith("/"), (name, mount)
            if source.startswith("./"):
                assert (DEPLOY / source).exists(), (name, mount)
                assert mode == ["ro"], (name, mount)
            else:
                used.add(source)
    assert used == set(raw_compose()["volumes"])


def test_images_that_are_built_have_a_stage() -> None:
    for name, service in SERVICES.items():
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).samefile(
                DEPLOY / "Dockerfile"
            )
            assert lineage(service["build"]["target"])[-1] == "python:3.11-slim", name


def test_settings_of_pellucid_write_only_where_something_may_be_written() -> None:
    for name in ("server", "worker", "consumer"):
        assert "state:/data" in SERVICES[name]["volumes"]
        for key in ("PELLUCID_CACHE_DIR", "PELLUCID_REPORT_DIR"):
            assert environment(name)[key].startswith("/data/")
        for key in ("PELLUCID_BLOB_URL", "PELLUCID_ARTIFACT_URL"):
            assert environment(name)[key].startswith(f"s3://{SERVICES['bucket']['command'][0]}/")


def test_prometheus_asks_the_server() -> None:
    file = DEPLOY / "prometheus.yml"
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    jsonschema.validate(config, PROMETHEUS)
    [job] = config["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert job["static_configs"] == [{"targets": [f"server:{PORTS['server']}"]}]
    assert set(SERVICES["prometheus"]["networks"]) & set(SERVICES["server"]["networks"])
    mounted = dict(mount.split(":")[:2] for mount in SERVICES["prometheus"]["volumes"])
    assert f"--config.file={mounted['./prometheus.yml']}" in SERVICES["prometheus"]["command"]
    assert f"--storage.tsdb.path={mounted['prometheus']}" in SERVICES["prometheus"]["command"]
    if promtool := shutil.which("promtool"):
        subprocess.run([promtool, "check", "config", str(file)], check=True, timeout=60)


def test_grafana_finds_its_sources() -> None:
    [file] = (DEPLOY / "grafana" / "provisioning" / "datasources").iterdir()
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert config["apiVersion"] == 1
    prometheus, postgres = config["datasources"]
    assert (prometheus["type"], reached("grafana", prometheus["url"])) == ("prometheus", ("prometheus", 9090))
    assert (postgres["type"], reached("grafana", postgres["url"])) == ("postgres", ("postgres", 5432))
    assert postgres["jsonData"]["database"] == sa.make_url(environment("server")["PELLUCID_DATABASE_URL"]).database
    assert postgres["secureJsonData"]["password"].removeprefix("$") in environment("grafana")
    version = SERVICES["postgres"]["image"].removeprefix("postgres:").split(".")[0]
    assert postgres["jsonData"]["postgresVersion"] == int(version) * 100
    assert len({source["uid"] for source in config["datasources"]}) == 2
