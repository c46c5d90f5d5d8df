"""Alerts, played by Prometheus's own tool: each fires when it should, and does not when it should not."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from pellucid.cli.app import app

from .reading import DEPLOY, services

GROUPS = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
SERVER = 'job="pellucid", instance="server:8000"'

Series = dict[str, str]  # a series without the server's labels, and its values, one a minute, as promtool writes them


def requests(ok: str, failed: str, route: str = "/predict") -> Series:
    return {
        f'pellucid_http_requests_total{{route="{route}", status="200"}}': ok,
        f'pellucid_http_requests_total{{route="{route}", status="503"}}': failed,
    }


def times(route: str, fast: str, slow: str) -> Series:
    """Answers of at most 0.5 s, and those that take up to 2 s."""
    name = f'pellucid_http_request_seconds_bucket{{route="{route}", le='
    return {f'{name}"0.5"}}': fast, f'{name}"2.0"}}': slow, f'{name}"+Inf"}}': slow}


def lag(behind: str, offset: str) -> Series:
    labels = '{consumer="predict", topic="images"}'
    return {f"pellucid_stream_lag_messages{labels}": behind, f"pellucid_stream_offset_messages{labels}": offset}


def trust(share: str, labels: str) -> Series:
    return {"pellucid_recent_trust_ratio": share, "pellucid_recent_trust_labels": labels}


def agreement(share: str, labels: str) -> Series:
    test = {"pellucid_model_test_accuracy_ratio": "0.9x99"}
    return {**test, "pellucid_recent_agreement_ratio": share, "pellucid_recent_agreement_labels": labels}


def disk(free: str) -> Series:
    labels = '{folder="project"}'
    return {f"pellucid_disk_free_bytes{labels}": free, f"pellucid_disk_size_bytes{labels}": "100x900"}


FIRES: list[tuple[str, Series, int]] = [  # alert, what is seen, after how many minutes
    ("PellucidServerDown", {"up": "1 0x9"}, 3),
    ("PellucidNotReady", {"pellucid_ready": "1 0x9"}, 7),
    ("PellucidDatabaseDown", {"pellucid_database_up": "1 0x9"}, 4),
    ("PellucidErrorRate", requests("0+90x20", "0+10x20"), 15),
    ("PellucidLatency", times("/predict", "0+90x30", "0+100x30"), 25),
    ("PellucidLatency", times("/v2/models/{name}/infer", "0+90x30", "0+100x30"), 25),
    ("PellucidOverloaded", {"pellucid_refused_images_total": "0+1x20"}, 15),
    ("PellucidDrift", {'pellucid_drift_detected{aspect="features"}': "0 1x30"}, 20),
    ("PellucidDriftCalled", {"pellucid_drift_stream_last_alarm_timestamp_seconds": "600x30"}, 20),
    ("PellucidTrustFall", trust("0.4x30", "200x30"), 20),
    ("PellucidTrustFall", trust("0.9x99 0.7x60", "200x160"), 130),
    ("PellucidAccuracyFall", agreement("0.6x99", "200x99"), 40),
    ("PellucidConsumerStalled", lag("0+10x30", "500x30"), 20),
    ("PellucidStreamDown", {"pellucid_stream_up": "1 0x9"}, 8),
    ("PellucidCandidatesRefused", {"pellucid_gate_refused_in_row": "1 2 3 3 3 3"}, 4),
    ("PellucidTrainingFailed", {'pellucid_training_jobs{state="failed"}': "0x5 1x30"}, 10),
    ("PellucidDiskLow", disk("9x30"), 12),
    ("PellucidDiskFillsUp", disk("60-0.1x400"), 300),
]
QUIET: list[tuple[str, Series, int]] = [
    ("PellucidServerDown", {"up": "1 0 1x9"}, 5),
    ("PellucidNotReady", {"pellucid_ready": "0x3 1x9"}, 7),
    ("PellucidDatabaseDown", {"pellucid_database_up": "1 0 1x9"}, 4),
    ("PellucidErrorRate", requests("0+99x20", "0+1x20"), 15),
    ("PellucidErrorRate", requests("0x20", "0+10x20", route="/health/ready"), 15),
    ("PellucidLatency", times("/predict", "0+99x30", "0+100x30"), 25),
    ("PellucidLatency", times("/feedback", "0+10x30", "0+100x30"), 25),
    ("PellucidOverloaded", {"pellucid_refused_images_total": "7x20"}, 15),
    ("PellucidDrift", {'pellucid_drift_detected{aspect="features"}': "0 1x5 0x30"}, 20),
    ("PellucidDriftCalled", {"pellucid_drift_stream_last_alarm_timestamp_seconds": "600x99"}, 80),
    ("PellucidTrustFall", trust("0.8x30", "200x30"), 20),
    ("PellucidTrustFall", trust("0.4x30", "49x30"), 20),
    ("PellucidTrustFall", trust("0.9x99 0.8x60", "200x160"), 130),
    ("PellucidAccuracyFall", agreement("0.8x99", "200x99"), 40),
    ("PellucidAccuracyFall", agreement("0.1x99", "99x99"), 40),
    ("PellucidConsumerStalled", lag("0+10x30", "500+100x30"), 20),
    ("PellucidConsumerStalled", lag("0x30", "500x30"), 20),
    ("PellucidStreamDown", {"pellucid_stream_up": "1x9"}, 8),
    ("PellucidCandidatesRefused", {"pellucid_gate_refused_in_row": "0 1 2 2 2 0"}, 4),
    ("PellucidTrainingFailed", {'pellucid_training_jobs{state="failed"}': "1x60"}, 40),
    ("PellucidDiskLow", disk("11x30"), 12),
    ("PellucidDiskFillsUp", disk("35-0.001x400"), 300),
    ("PellucidDiskFillsUp", disk("90-0.1x200"), 60),
]


def promtool(*words: str) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed; the CI installs it")
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_configuration_and_rules() -> None:
    promtool("check", "rules", str(DEPLOY / "alerts.yml"))
    promtool("check", "config", str(DEPLOY / "prometheus.yml"))


def test_every_alert_is_played_both_ways() -> None:
    assert {name for name, _, _ in FIRES} == {name for name, _, _ in QUIET} == set(RULES)


def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    tests = []
    for fires, cases in ((1, FIRES), (0, QUIET)):
        for number, (name, series, minutes) in enumerate(cases):
            values = [{"series": with_server(key), "values": value} for key, value in series.items()]
            seen = f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) or vector(0)'
            tests.append(
                {
                    "name": f"{name} {'fires' if fires else 'is quiet'} {number}",
                    "interval": "1m",
                    "input_series": values,
                    "promql_expr_test": [
                        {"expr": seen, "eval_time": f"{minutes}m", "exp_samples": [{"labels": "{}", "value": fires}]}
                    ],
                }
            )
    played = {"rule_files": [str(DEPLOY / "alerts.yml")], "evaluation_interval": "1m", "tests": tests}
    file = tmp_path / "played.yml"
    file.write_text(yaml.safe_dump(played), encoding="utf-8")
    promtool("test", "rules", str(file))


def with_server(series: str) -> str:
    """The series as Prometheus would store it."""
    name, _, labels = series.partition("{")
    return f"{name}{{{SERVER}{', ' if labels else ''}{labels or '}'}"


@pytest.mark.parametrize("name", RULES)
def test_every_alert_says_what_is_wrong_and_how_to_mend_it(name: str) -> None:
    rule = RULES[name]
    assert name.startswith("Pellucid")
    assert rule["labels"]["severity"] in {"warning", "critical"}
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]
    assert len(summary) < 120
    assert len(description) > 100


def test_what_the_descriptions_tell_to_run_exists() -> None:
    told = [
        found
        for rule in RULES.values()
        for found in re.findall(r"`([^`]+)`", " ".join(rule["annotations"]["description"].split()))
    ]
    commands = [shlex.split(text)[1:] for text in told if text.startswith("pellucid ")]
    assert len(commands) >= 10
    for words in commands:
        command: Any = get_command(app)
        given = [word.replace("NAME@VERSION", "a@1").replace("NUMBER", "1") for word in words]
        context = command.make_context("pellucid", given)
        while hasattr(command, "resolve_command"):
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            context = command.make_context(name, rest, parent=context)
    for text in told:
        if text.startswith("docker compose "):
            assert set(text.split()[3:]) - {"ps", "logs", "up", "restart", "--tail=50", "--detach"} <= set(services())


def test_prometheus_is_given_the_rules() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    mounted = dict(mount.split(":")[:2] for mount in services()["prometheus"]["volumes"])
    folder = Path(mounted["./prometheus.yml"]).parent
    assert [str(folder / name) for name in config["rule_files"]] == [mounted["./alerts.yml"]]
