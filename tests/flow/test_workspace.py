from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from pellucid import Project
from pellucid.errors import ConfigError, NotFoundError, StorageError, UsageError, VersionError
from pellucid.features.pipeline import usable_cores
from pellucid.flow.workspace import init_workspace, open_workspace
from pellucid.store.database import VERSION_TABLE


def test_init_writes_a_commented_file_once(tmp_path: Path) -> None:
    config = init_workspace(tmp_path / "new" / "project")
    assert config.read_text().startswith("#")
    assert (config.parent / ".pellucid" / ".gitignore").read_text() == "*\n"
    with pytest.raises(UsageError, match="is a project already"):
        init_workspace(config.parent)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not a folder"):
        init_workspace(tmp_path / "file")


def test_places_are_relative_to_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init_workspace(tmp_path)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    flags = {"database_url": "sqlite:///records/own.db", "blob_url": "images", "cache_dir": str(tmp_path / "c")}
    workspace = open_workspace(tmp_path, environ={}, flags=flags)
    workspace.blobs.put("images", b"x")
    workspace.database.close()
    assert (tmp_path / "records" / "own.db").exists()
    assert list((tmp_path / "images" / "images").rglob("*"))
    assert workspace.cache == tmp_path / "c"
    assert workspace.reports == tmp_path / "reports"


def test_settings_reach_the_limits(tmp_path: Path) -> None:
    init_workspace(tmp_path)
    workspace = open_workspace(tmp_path, environ={"PELLUCID_MAX_IMAGE_PIXELS": "1000"}, flags={"threads": 3})
    workspace.database.close()
    assert (workspace.limits.max_pixels, workspace.threads) == (1000, 3)
    assert open_workspace(tmp_path, environ={}).threads == usable_cores()


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="pellucid init"):
        open_workspace(tmp_path, environ={})
    init_workspace(tmp_path)
    with pytest.raises(ConfigError):
        open_workspace(tmp_path, environ={"PELLUCID_DATABASE_URL": "mysql://host/name"})
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        open_workspace(tmp_path, environ={"PELLUCID_DATABASE_URL": "sqlite:///file/own.db"})


def test_a_database_of_a_newer_version_is_left_alone(project: Project, make_project: Callable[..., Project]) -> None:
    with project.workspace.database.write() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(VersionError, match="newer Pellucid"):
        make_project()
