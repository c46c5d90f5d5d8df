from __future__ import annotations

import errno
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from pellucid import errors
from pellucid.cli import ending

from .conftest import STOP_WORDS, Cli, Start

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PellucidError)]


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_of_ours_is_one_line_and_its_own_exit_code(
    kind: type[errors.PellucidError], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("broken", "two\nlines") if issubclass(kind, errors.ImageError) else ("two\nlines",)
    assert ending.run(raising(kind(*words))) == kind.exit_code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith("two lines\n")
    assert said.err.startswith("pellucid: ")
    assert said.err.count("\n") == 1


def test_exit_codes_are_never_reused() -> None:
    codes = [*(kind.exit_code for kind in KINDS), ending.INTERRUPTED, ending.INTERNAL, 0]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), ending.Stopped(), typer.Abort()])
def test_being_stopped_is_said_calmly(stop: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert ending.run(raising(stop)) == 130
    assert capsys.readouterr().err == STOP_WORDS + "\n"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; free some"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: Permission denied; check"),
        (OSError("strange"), "strange; check"),
    ],
)
def test_a_failing_file_system_is_no_fault_of_the_program(
    error: OSError, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending.run(raising(error)) == errors.StorageError.exit_code
    assert says in capsys.readouterr().err


def test_a_fault_of_our_own_is_owned_up_to(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PELLUCID_DEBUG", raising=False)
    assert ending.run(raising(ZeroDivisionError("by\nzero"))) == 70
    assert capsys.readouterr().err == (
        "pellucid: ZeroDivisionError: by zero; this is a fault of Pellucid's, PELLUCID_DEBUG=1 shows where\n"
    )
    monkeypatch.setenv("PELLUCID_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        ending.run(raising(ZeroDivisionError()))


def test_a_reader_that_has_gone_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert ending.run(raising(BrokenPipeError())) == 0
    assert capfd.readouterr().err == ""


def test_a_library_s_warning_is_one_line_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            for _ in range(3):
                warnings.warn("did not\nconverge", UserWarning, stacklevel=1)

    shown = warnings.showwarning
    assert ending.run(command) == 0
    assert capsys.readouterr().err == "pellucid: warning: did not converge\n"
    assert warnings.showwarning is shown


def test_what_the_process_did_on_sigterm_is_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []
    ending.run(lambda: seen.append(signal.getsignal(signal.SIGTERM)))
    assert seen != [before]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_closed_pipe_ends_quietly(trained: Path, child_environ: dict[str, str]) -> None:
    """As `pellucid ... | head -1` does, with more lines than a pipe holds."""
    script = f'"{sys.executable}" -m pellucid datasets show pets --rows --json | head -c 1; exit ${{PIPESTATUS[0]}}'
    ended = subprocess.run(
        ["bash", "-c", script], cwd=trained, env=child_environ, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "{", "")


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_a_full_disk_under_stdout_is_one_line(start: Start, trained: Path, json: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        process = start("datasets", "list", *json, cwd=trained, stdout=full)
        _, err = process.communicate()
    assert process.returncode == 10
    assert err.startswith("pellucid: No space left on device")
    assert err.count("\n") == 1


def test_closed_standard_streams_do_not_end_up_in_the_database(trained: Path, child_environ: dict[str, str]) -> None:
    script = f'exec "{sys.executable}" -m pellucid label pets $1 --label dog <&- >&- 2>&-'
    listed = subprocess.run(
        [sys.executable, "-m", "pellucid", "datasets", "show", "pets", "--rows"],
        cwd=trained,
        env=child_environ,
        capture_output=True,
        text=True,
        check=True,
    )
    sample = listed.stdout.splitlines()[1].split()[0]
    for _ in range(2):
        subprocess.run(["bash", "-c", script, "bash", sample], cwd=trained, env=child_environ, check=True)
    assert (trained / ".pellucid" / "pellucid.db").read_bytes().startswith(b"SQLite format 3\0")


def test_a_read_only_place_is_one_line(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert cli("init", tmp_path / "file" / "below").code == 2
    folder = tmp_path / "here"
    cli("init", folder)
    for file in (folder / ".pellucid").glob("pellucid.db*"):
        file.unlink()
    (folder / ".pellucid" / "pellucid.db").mkdir()
    monkeypatch.chdir(folder)
    ended = cli("datasets", "list")
    assert "unable to open database file" in ended.error
    assert ended.code == 10


def test_a_full_disk_in_the_middle_of_ingest_loses_nothing(
    cli: Cli, here: Path, class_folders: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pellucid.store.blobs import Blobs

    source = class_folders(here / "source", {"cat": 3, "dog": 3})
    put, room = Blobs.put, [1]

    def put_while_there_is_room(self: Blobs, *words: object, **options: object) -> object:
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(self, *words, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as full:
        full.setattr(Blobs, "put", put_while_there_is_room)
        full.setattr("pellucid.flow.data.ingest._BATCH", 2)
        ended = cli("ingest", source, "-d", "pets")
        assert ended.code == 10
        assert "No space left on device" in ended.error
    assert cli("datasets", "list", "--json").json == []
    assert cli("ingest", source, "-d", "pets", "--json").json["version"]["counts"]["images"] == 6
