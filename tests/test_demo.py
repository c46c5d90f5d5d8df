"""The demo's end: it waits on its pages no longer than there is a server, or nobody wants it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

_FILE = Path(__file__).parents[1] / "examples" / "demo.py"


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The demo in a folder that is no project, so that its worker ends at once."""
    spec = importlib.util.spec_from_file_location("demo", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    return module


class Interrupted(subprocess.Popen[str]):
    """A server that is waited for until Ctrl-C."""

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and timeout is None and not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt
        return super().wait(timeout)

    pressed = False


def test_it_ends_with_its_server(demo: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], text=True) as server:
        demo.wait_on_pages(server, "http://here")
    assert "The server has ended" in capfd.readouterr().out


def test_ctrl_c_ends_the_server_with_one_line(demo: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with Interrupted([sys.executable, "-c", "import time; time.sleep(600)"], text=True) as server:
        demo.wait_on_pages(server, "http://here")
    assert server.returncode != 0
    assert capfd.readouterr().out.strip().splitlines()[-1] == "The demo ends; what was learnt is kept."


def test_it_says_what_cleaning_is_worth(
    demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [
        {"head": "logistic", "dataset": f"digits@{number}", "metrics": {"accuracy": accuracy}}
        for number, accuracy in ((1, 0.99), (2, 0.9), (3, 0.95))
    ]
    monkeypatch.setattr(demo, "run", lambda *words: demo.json.dumps(models))
    demo.show_what_cleaning_is_worth()
    assert "0.900           0.950           0.990       +5.0 points" in capsys.readouterr().out
