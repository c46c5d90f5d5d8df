"""A whole project on real components: records and MLflow in one PostgreSQL, images, models and artifacts on S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pellucid import Project

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def environ(
    fresh_postgres: str, s3: str, child_environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """The environment that puts a project on PostgreSQL and S3."""
    own = {
        "PELLUCID_DATABASE_URL": fresh_postgres,
        "PELLUCID_MLFLOW_URL": fresh_postgres,  # beside Pellucid's own tables
        "PELLUCID_BLOB_URL": f"{s3}/blobs",
        "PELLUCID_ARTIFACT_URL": f"{s3}/artifacts",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    return {**os.environ, "PYTHONPATH": child_environ["PYTHONPATH"], "OMP_NUM_THREADS": "1"}


def test_the_main_job_from_images_to_answers(
    tmp_path: Path, environ: Mapping[str, str], s3: str, class_folders: Callable[..., Path]
) -> None:
    source = class_folders(tmp_path / "source", {"cat": 10, "dog": 10})
    with Project.init(tmp_path / "project") as project:
        assert project.ingest(source, "pets").created
        assert not project.ingest(source, "pets").created
        (model,) = project.train("pets", models=["ridge"])
        assert model.uri.startswith(f"{s3}/artifacts/models/")
        project.promote("pets@1")
        (answer,) = project.predict(source / "cat" / "0.png")
        assert (answer.label, answer.model) == ("cat", "pets@1")
        assert project.impact(answer.sample or "").answers_given == {"pets@1": 1}
    assert not list((tmp_path / "project" / ".pellucid").glob("*.db"))

    # MLflow's own client reads the run, its artifacts and the version, and predicts, in this process ...
    url = environ["PELLUCID_MLFLOW_URL"]
    client = MlflowClient(url, url)
    version = client.get_model_version_by_alias("pets", "champion")
    assert version.source.startswith(f"{s3}/artifacts/mlflow/pets/")
    run = client.get_run(version.run_id)
    assert run.data.metrics["accuracy"] == model.metrics["accuracy"]
    assert {item.path for item in client.list_artifacts(version.run_id, "report")} >= {"report/report.html"}

    # ... and in another one that knows nothing of the project's folder.
    code = (
        "import mlflow, sys\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model('models:/pets@champion')\n"
        "table = model.predict([sys.argv[2], open(sys.argv[2], 'rb').read()])\n"
        "print(table[['label', 'confidence']].to_json(orient='values'))\n"
    )
    command = [sys.executable, "-c", code, url, str(source / "dog" / "3.png")]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    by_path, by_bytes = json.loads(done.stdout.splitlines()[-1])
    assert by_path == by_bytes
    assert by_path[0] == "dog"
