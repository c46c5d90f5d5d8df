"""Suspects, written out for people and for other programs: a page, a CSV file, or Label Studio's tasks."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import StorageError, UsageError
from pellucid.evaluate.audit_page import AuditPage, Case, Odd, render_audit
from pellucid.evaluate.failures import nearest
from pellucid.evaluate.report import Neighbour
from pellucid.flow.data.clean import CleanReport
from pellucid.flow.data.embed import embed_samples
from pellucid.flow.data.thumbnail import thumbnail
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.noise.quality import NEIGHBOURS, image_quality
from pellucid.store.blobs import write_whole
from pellucid.store.datasets import findings_of, get_version
from pellucid.store.ingests import sightings_of
from pellucid.store.manifests import read_manifest
from pellucid.types import Row, Split, Status

_CASES = 60  # pictures on the page
_NEIGHBOURS = 3
_ODD = 12  # images unlike the others
_COMPARED = 20_000  # images at most that are compared each with each
_TASK_SIDE = 640  # pixels of an image within a task
_COLUMNS = ("sample", "path", "split", "given", "suggested", "trust", "margin", "fate")
_FINDINGS = {
    "conflict": "Images under several labels",
    "near_conflict": "Near-identical images under different labels",
    "torn_group": "Leaks: near-copies on both sides of a split",
}
_FATES = {"relabelled": "relabelled", "dropped": "set aside", "kept": "kept, believed less"}


def write_page(workspace: Workspace, report: CleanReport, *, progress: Progress = no_progress) -> Path:
    """Writes the audit's page, ``audit-NAME-NUMBER/audit.html`` in the folder of reports, and returns its path.

    One that nothing was committed for has a folder of its own, ``audit-NAME-NUMBER-dry-run``.
    """
    opened = workspace.extractor(report.extractor)
    with workspace.database.read() as connection:
        audited = get_version(connection, report.audited)
        findings = findings_of(connection, audited)
    suspected = {item.sample for item in report.suspects}
    believed = [
        row
        for row in read_manifest(workspace.blobs, audited.content_id)
        if row.status is Status.OK and row.split is not Split.TEST and row.sample not in suspected
    ]
    shown = report.suspects[:_CASES]
    cases: list[Case] = []
    X = embed_samples(workspace, opened, [*(item.sample for item in shown), *(row.sample for row in believed)])
    if shown:
        places, similarity = nearest(X[: len(shown)], X[len(shown) :], _NEIGHBOURS) if believed else _nobody(len(shown))
        paths = _paths(workspace, audited.dataset, [item.sample for item in shown])
        for number, item in enumerate(shown):
            pairs = zip(places[number].tolist(), similarity[number].tolist(), strict=True)
            near = [(believed[place], alike) for place, alike in pairs]
            cases.append(
                Case(
                    image=thumbnail(workspace, item.sample),
                    path=paths[item.sample],
                    given=item.given,
                    suggested=item.suggested,
                    trust=item.trust,
                    fate=_FATES[item.fate],
                    nearest=tuple(
                        Neighbour(thumbnail(workspace, row.sample), str(row.label), alike) for row, alike in near
                    ),
                )
            )
            progress("drawing", number + 1, len(shown))
    page = AuditPage(
        dataset=audited.ref,
        made=report.version.ref if report.created else None,
        extractor=opened.description,
        rule_used=report.rule_used,
        why=report.why,
        what_was_done=_what_was_done(report),
        created_at=datetime.now(UTC),
        n_images=report.images,
        n_suspects=len(report.suspects),
        noise_rate=report.noise_rate,
        classes=report.classes,
        noise_matrix=report.noise_matrix,
        cases=tuple(cases),
        findings=tuple(
            (title, tuple(item.detail for item in findings if item.kind == kind)) for kind, title in _FINDINGS.items()
        ),
        bad_images=_odd(workspace, audited.dataset, believed, X[len(shown) :]),
        truth=truth_sentence(report),
    )
    folder = workspace.reports / f"audit-{audited.dataset}-{audited.number}{'-dry-run' if report.dry_run else ''}"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "audit.html", render_audit(page).encode())
    return folder / "audit.html"


def check_target(target: Path) -> None:
    """Raises UsageError for the name of a file that `export_suspects` cannot write."""
    if target.suffix.lower() not in (".csv", ".json"):
        raise UsageError(f"{target} ends neither in .csv (a table) nor in .json (tasks for Label Studio)")


def export_suspects(workspace: Workspace, report: CleanReport, target: Path) -> int:
    """Writes all suspects to ``target`` and returns how many: a ``.csv`` table, or ``.json`` tasks for Label Studio.

    Tasks carry their pictures and the suggestion as a prediction, for a labelling interface whose ``<Image>`` is named
    ``image`` and whose ``<Choices>`` are named ``label``. In the table a path or a class that a spreadsheet would take
    for a formula begins with an apostrophe.

    Raises:
        UsageError: the name ends neither in .csv nor in .json.
        StorageError: the file cannot be written.
    """
    check_target(target)
    paths = _paths(workspace, report.version.dataset, [item.sample for item in report.suspects])
    data = (_csv if target.suffix.lower() == ".csv" else _tasks)(workspace, report, paths)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, data)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror or error}; name another file") from error
    return len(report.suspects)


def truth_sentence(report: CleanReport) -> str:
    """How well the audit did, in a sentence; empty where the truth is not known."""
    truth = report.truth
    if truth is None:
        return ""
    right = f"{truth.found / truth.suspected:.0%} of the suspects are wrong indeed; " if truth.suspected else ""
    return (
        f"{truth.found:,} of {truth.wrong:,} labels that were broken on purpose are found; {right}"
        f"{truth.restored:,} have their true label again."
    )


def _odd(workspace: Workspace, dataset: str, rows: Sequence[Row], X: NDArray[np.float32]) -> tuple[Odd, ...]:
    """The images that are most unlike the others, by their vectors."""
    if not NEIGHBOURS + 2 <= len(rows) <= _COMPARED:
        return ()
    found = image_quality(X, X)
    worst = [place for place in np.argsort(-found.novelty).tolist() if found.suspect[place]][:_ODD]
    paths = _paths(workspace, dataset, [rows[place].sample for place in worst])
    return tuple(
        Odd(
            image=thumbnail(workspace, rows[place].sample),
            path=paths[rows[place].sample],
            label=str(rows[place].label),
            reason=found.reasons[place],
        )
        for place in worst
    )


def _what_was_done(report: CleanReport) -> str:
    done = [f"{report.fates['relabelled']:,} were given a likelier label", f"{report.fates['dropped']:,} set aside"]
    done += [f"{report.fates['reweighed']:,} given another trust"]
    return f"{', '.join(done)}{'' if report.created else ': so it would be; nothing was changed'}."


def _nobody(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    return np.empty((n, 0), np.int64), np.empty((n, 0))


def _paths(workspace: Workspace, dataset: str, ids: Sequence[str]) -> dict[str, str]:
    with workspace.database.read() as connection:
        seen = sightings_of(connection, dataset, ids)
    return {name: seen[name][-1].path if name in seen else name[:12] for name in ids}


def _csv(workspace: Workspace, report: CleanReport, paths: Mapping[str, str]) -> bytes:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(_COLUMNS)
    for item in report.suspects:
        texts = [_harmless(text) for text in (paths[item.sample], item.split, item.given, item.suggested)]
        writer.writerow([item.sample, *texts, f"{item.trust:.4f}", f"{item.margin:.4f}", item.fate])
    return table.getvalue().encode("utf-8", "surrogatepass")


def _harmless(text: str) -> str:
    """The text as a spreadsheet shows it and does not compute it.

    >>> _harmless("=1+1.png"), _harmless("a-b.png")
    ("'=1+1.png", 'a-b.png')
    """
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and text else text


def _tasks(workspace: Workspace, report: CleanReport, paths: Mapping[str, str]) -> bytes:
    tasks = []
    for item in report.suspects:
        picture = thumbnail(workspace, item.sample, _TASK_SIDE)
        kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
        choice = {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [item.suggested]}}
        data = {
            "image": f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}",
            "sample": item.sample,
            "path": paths[item.sample],
            "given": item.given,
            "trust": round(item.trust, 4),
        }
        prediction = {"model_version": f"pellucid audit of {report.audited}", "score": 1 - item.trust}
        tasks.append({"data": data, "predictions": [prediction | {"result": [choice]}]})
    return json.dumps(tasks, indent=1, ensure_ascii=False).encode("utf-8", "replace")
