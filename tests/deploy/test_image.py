"""The Dockerfile: it copies what exists and nothing else, and installs what pyproject.toml offers."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from pathlib import Path, PurePosixPath

import pytest
import sqlalchemy as sa

from .reading import ROOT, dockerfile, lineage, of_stage, services

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STAGES = ["pellucid", "mlflow"]


def is_sent(path: str) -> bool:
    """Whether the engine gets the file: the last pattern of .dockerignore that matches it, or a parent, decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            places = [path, *map(str, PurePosixPath(path).parents)][:-1] if "/" in path else [path]
            ends = pattern.removeprefix("**/")
            if any(
                fnmatch.fnmatchcase(place, pattern) or fnmatch.fnmatchcase(Path(place).name, ends) for place in places
            ):
                sent = line.startswith("!")
    return sent


def test_whatever_is_copied_exists_and_is_sent() -> None:
    seen = set()
    for item in dockerfile():
        if item.word != "COPY":
            continue
        *sources, target = item.words
        if sources[0].startswith("--from="):
            earlier = sources.pop(0).removeprefix("--from=")
            assert earlier in {other.stage for other in dockerfile()[: dockerfile().index(item)]} - {item.stage}
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert is_sent(source), f".dockerignore leaves {source} out"
            seen.add(source)
        assert len(sources) == 1 or target.endswith("/"), item.rest
    assert seen == {"pyproject.toml", "README.md", "LICENSE", "src"}


def test_the_wheel_finds_all_that_pyproject_names() -> None:
    copied = {word for item in dockerfile() if (item.stage, item.word) == ("wheel", "COPY") for word in item.words}
    project = PYPROJECT["project"]
    wanted = [project["readme"], *project["license-files"], "pyproject.toml"]
    wanted += [
        PYPROJECT["tool"]["hatch"]["version"]["path"],
        *PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
    ]
    for path in wanted:
        assert copied & {path, path.split("/")[0]}, path


@pytest.mark.parametrize(
    "path", ["tests/conftest.py", "deploy/.env", ".git/config", "benchmarks/data.py", "src/pellucid/__pycache__/x.pyc"]
)
def test_what_is_for_developers_and_secrets_stay_here(path: str) -> None:
    assert not is_sent(path)


def test_the_wheel_is_installed_by_its_path_with_extras_that_exist() -> None:
    [line] = [item.rest for item in dockerfile() if (item.stage, item.word) == ("installed", "RUN")]
    found = re.search(r'ls (/wheels/pellucid-\*\.whl)\)".* pip install [^"]*"\$\{wheel\}\[([a-z0-9,]+)\]"$', line)
    assert found, line
    extras = set(found[2].split(","))
    offered = PYPROJECT["project"]["optional-dependencies"]
    assert extras <= set(offered)
    # What the settings need: the drivers of their URLs.
    environment = services()["consumer"]["environment"]
    assert sa.make_url(environment["PELLUCID_DATABASE_URL"]).drivername == "postgresql+psycopg"
    assert environment["PELLUCID_BLOB_URL"].startswith("s3://")
    assert environment["PELLUCID_STREAM_URL"].startswith("kafka://")
    packages = " ".join(package for extra in extras for package in offered[extra])
    assert all(package in packages for package in ("psycopg", "s3fs", "boto3", "confluent-kafka"))


def test_pip_is_as_new_as_the_makefiles_before_anything_is_resolved() -> None:
    wanted = re.search(r'--upgrade ("pip>=[0-9.]+")', (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert wanted
    [line] = [item.rest for item in dockerfile() if (item.stage, item.word) == ("installed", "RUN")]
    assert line.index(f"--upgrade {wanted[1]}") < line.index("${wheel}")


def test_mlflow_is_of_the_version_of_its_client() -> None:
    [line] = [item.rest for item in dockerfile() if (item.stage, item.word) == ("installed-mlflow", "RUN")]
    assert 'version("mlflow-skinny")' in line
    assert '"mlflow==${version}"' in line
    assert any(package.startswith("mlflow-skinny") for package in PYPROJECT["project"]["dependencies"])


@pytest.mark.parametrize("stage", STAGES)
def test_nobody_is_root(stage: str) -> None:
    user = of_stage(stage, "USER").rest
    added = next(item.rest for item in dockerfile() if item.word == "RUN" and "useradd" in item.rest)
    assert re.search(rf"--uid [1-9]\d{{3,}} .* {user} && install .*--owner={user} .* /data$", added), added
    assert of_stage(stage, "WORKDIR").rest == "/data"


@pytest.mark.parametrize("stage", STAGES)
def test_the_image_is_slim_and_of_a_python_that_pyproject_takes(stage: str) -> None:
    image = lineage(stage)[-1]
    found = re.fullmatch(r"python:(\d+\.\d+)-slim", image)
    assert found, image
    assert PYPROJECT["project"]["requires-python"] == f">={found[1]}"
    own = {item.rest for name in lineage(stage) for item in dockerfile() if (item.stage, item.word) == (name, "RUN")}
    assert not [line for line in own if "pip" in line], "what builds stays in the stages that build"


def test_signals_arrive() -> None:
    for stage in STAGES:
        assert of_stage(stage, "ENTRYPOINT").rest.startswith("["), "a shell would keep SIGTERM for itself"
    assert of_stage("pellucid", "ENTRYPOINT").words[0] in PYPROJECT["project"]["scripts"]
    assert all(service["init"] for service in services().values() if "build" in service)


def test_the_last_stage_is_the_one_that_is_built_by_default() -> None:
    assert dockerfile()[-1].stage == "pellucid"
