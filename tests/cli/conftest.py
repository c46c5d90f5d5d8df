"""The command line in this very process, and as processes that can be stopped."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pellucid.cli.app import main

STOP_WORDS = "pellucid: stopped; what was finished is kept, run the same command again to go on"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON document on every line of stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        """The one line of stderr that says what was wrong."""
        assert self.code != 0, self.out
        assert self.err.startswith("pellucid: "), self.err
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err.strip()


Cli = Callable[..., Ended]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """cli("datasets", "list", stdin=b""): runs the command in this process and says how it ended."""
    monkeypatch.setenv("PELLUCID_THREADS", "2")
    monkeypatch.setenv("PELLUCID_POLL_SECONDS", "0.02")

    def run(*words: object, stdin: bytes = b"") -> Ended:
        streams = [io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="") for data in (stdin, b"", b"")]
        with monkeypatch.context() as patch:
            for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
                patch.setattr(sys, name, stream)
            with pytest.raises(SystemExit) as ended:
                main([str(word) for word in words])
        code = ended.value.code
        assert isinstance(code, int)
        return Ended(code, *(_written(stream) for stream in streams[1:]))

    return run


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode("utf-8", "surrogateescape")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_folder: Path) -> Path:
    """A new project, and the folder that we are in."""
    folder = tmp_path / "here"
    shutil.copytree(new_folder, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained_folder: Path) -> Path:
    """A project with 12 cats and 12 dogs in ``pets@1`` and the model ``pets@1``; the folder that we are in."""
    folder = tmp_path / "trained"
    shutil.copytree(trained_folder, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def start(child_environ: dict[str, str]) -> Iterator[Start]:
    """start("train", cwd=folder, at="module:name"): the command as a process, killed at the end of the test.

    With ``at`` it halts where it would call that function; ``halted`` of its folder says when.
    """
    started: list[subprocess.Popen[str]] = []

    def run(
        *words: object,
        cwd: Path,
        at: str = "",
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
        **more: str,
    ) -> subprocess.Popen[str]:
        for mark in ("halted", "released"):
            (cwd / mark).unlink(missing_ok=True)
        started.append(
            subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("halting.py")), at, *map(str, words)],
                cwd=cwd,
                env={**child_environ, "PELLUCID_THREADS": "2", "PELLUCID_LEASE_SECONDS": "0.5", **more},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
