"""The tree is the architecture: who may import whom, what is loaded when, and how long a module may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src" / "pellucid").rglob("*.py"))
HEAVY = {
    *("numpy", "scipy", "sklearn", "skimage", "pandas", "pyarrow", "PIL", "sqlalchemy", "alembic"),
    *("mlflow", "onnxruntime", "matplotlib", "torch", "fsspec", "safetensors", "jinja2", "rich.progress", "rich.live"),
}
UNSAFE = {"pickle", "cPickle", "_pickle", "joblib", "cloudpickle", "dill", "marshal", "shelve"}


def imported_by(path: Path) -> set[str]:
    """Every module that a file names in an import, wherever it stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_imports_go_down_only() -> None:
    """The contracts of pyproject.toml; in a process of its own, since import-linter changes the logging of this one."""
    program = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 broken" in ended.stdout


@pytest.mark.parametrize(
    "name", ["pellucid", "pellucid.cli.app", "pellucid.config", "pellucid.types", "pellucid.errors"]
)
def test_importing_loads_nothing_heavy(name: str, child_environ: dict[str, str]) -> None:
    program = f"import sys, {name}; print(*sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], env=child_environ, capture_output=True, text=True, check=True
    )
    loaded = set(ended.stdout.split())
    assert name in loaded
    assert not HEAVY & loaded


def test_the_public_names_are_there() -> None:
    import pellucid

    for name in pellucid.__all__:
        assert getattr(pellucid, name) is not None
    with pytest.raises(AttributeError, match=r"it has Audit, .* PellucidError, Project"):
        _ = pellucid.Projct


def test_nothing_is_ever_pickled() -> None:
    assert len(MODULES) > 50
    for path in MODULES:
        assert not UNSAFE & {name.partition(".")[0] for name in imported_by(path)}, path


def test_science_does_no_input_or_output() -> None:
    for package in ("evaluate", "heads", "labels"):
        for path in (ROOT / "src" / "pellucid" / package).rglob("*.py"):
            assert not {"sqlite3", "requests", "urllib.request", "socket"} & imported_by(path), path


def test_no_module_is_longer_than_400_lines() -> None:
    for path in MODULES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def test_no_module_has_mutable_state() -> None:
    """What a module binds is a constant; a list, dict or set that is bound in small letters would be state."""
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                name = target.id if isinstance(target, ast.Name) else ""
                if name and not name.isupper() and isinstance(node, ast.Assign):
                    kinds = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
                    assert not isinstance(node.value, kinds) or name == "__all__", (path, name)
        assert not any(isinstance(node, ast.Global) for node in ast.walk(ast.parse(path.read_text()))), path
