"""Gate: a candidate judged against the champion on what neither has learnt, and the verdict recorded."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pellucid.config import Settings
from pellucid.errors import ConfigError, PellucidError
from pellucid.evaluate.gate import FALL, MARGIN, GateReport
from pellucid.evaluate.gate import judge as judge_gate
from pellucid.flow.data.embed import embed_samples
from pellucid.flow.environment import current_user
from pellucid.flow.online.answerer import Answerer
from pellucid.flow.online.live import caught_up
from pellucid.flow.training.evaluate import aligned
from pellucid.flow.training.predict import open_predictor
from pellucid.flow.workspace import Progress, Workspace, no_progress
from pellucid.labels.consensus import HEARD
from pellucid.labels.halves import halve_trusted
from pellucid.store.aliases import CHAMPION, alias_state
from pellucid.store.datasets import get_version
from pellucid.store.manifests import read_manifest
from pellucid.store.models import get_model
from pellucid.store.verdicts import Verdict, add_verdict
from pellucid.store.votes import votes_of
from pellucid.types import TRUST_SCALE, DatasetVersion, ModelVersion, Role, Row, Split, Status

_LOG = logging.getLogger(__name__)
_BELIEVED = 0.9  # trust from which on a vote's label may speak for or against a model


def gate(
    workspace: Workspace,
    candidate: str,
    *,
    actor: str | None = None,
    record: bool = True,
    progress: Progress = no_progress,
) -> Verdict:
    """Judges a candidate against the champion of its name, by the rule of ``pellucid.evaluate.gate.judge``.

    The champion is judged as it answers now, with all that it has learnt from feedback; as it was trained, where the
    images that it learnt are gone. The verdict tells which.

    What decides are the trusted images of the dataset's newest version, the gate's half of them: the other half is the
    guard's of online learning. Beside them the verdict reports, and does not weigh, the same comparison on what votes
    have labelled since the champion's version, as far as the label is believed and neither model was trained on it.

    Without a trusted image the verdict says so and does not pass; ``Verdict.judged`` tells the two apart. Where there
    is no champion there is nothing to be measured against, and the candidate passes.

    Args:
        candidate: ``NAME@VERSION``.
        actor: who asks; the user of the operating system where None.
        record: whether the verdict is kept; one that is not kept has the id 0.

    Raises:
        NotFoundError, IntegrityError: a model does not exist or cannot be loaded.
        ConfigError: pellucid.toml's [gate] cannot be used.
        DataError: a model knows no class of the dataset.
    """
    with workspace.database.read() as connection:
        target = get_model(connection, candidate)
        crowned = alias_state(connection, target.name, CHAMPION).version
        champion = None if crowned is None else get_model(connection, f"{target.name}@{crowned}")
        version = get_version(connection, target.name)
    passed, figures = True, _unopposed()
    if champion is not None:
        rules = gate_rules(workspace.settings)
        rows = _usable(workspace, version)
        guards, gates = halve_trusted(rows)
        half = f", the gate's half of {len(guards) + len(gates)} trusted ones"
        now = _as_it_answers(workspace, champion)
        pair = _Pair(workspace, target, champion, now, version, rules, progress)
        report = pair.judge(gates)
        recent = pair.judge(_voted(workspace, target, champion, rows), trained=True)  # it has learnt from them by now
        passed = report.passed
        figures = {
            "judged": report.n > 0,
            "summary": report.summary + (half if report.n else ""),
            "reasons": list(report.reasons),
            "learnt": None if now is None else now.ledger,
            "dataset": version.ref,
            "trusted": report.to_dict(),
            "votes": recent.to_dict() if recent.n else None,
        }
    who = actor or current_user()
    if not record:
        return Verdict(0, target.name, target.version, crowned, passed, figures, who, datetime.now(UTC))
    with workspace.database.write() as connection:
        return add_verdict(connection, target.name, target.version, crowned, passed=passed, figures=figures, actor=who)


def gate_rules(settings: Settings) -> Mapping[str, Any]:
    """What pellucid.toml's [gate] asks for, as keywords of ``pellucid.evaluate.gate.judge``.

    Raises:
        ConfigError: a key is unknown, or a value is no share.
    """
    table = settings.gate
    rules: dict[str, Any] = {"margin": MARGIN, "fall": FALL, "floors": {}}
    for key, value in table.items():
        if key not in rules:
            raise ConfigError(f"[gate] has an unknown key '{key}'; known are: {', '.join(rules)}")
        shares = value if key == "floors" else {key: value}
        if not isinstance(shares, Mapping) or not all(map(_is_share, shares.values())):
            wanted = "a table of shares from 0 to 1 by class" if key == "floors" else "a share from 0 to 1"
            raise ConfigError(f"[gate] {key} is {value!r}; wanted is {wanted}")
        rules[key] = value
    return rules


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _unopposed() -> dict[str, Any]:
    return {"judged": False, "summary": "there is no champion to be measured against", "reasons": []}


def _usable(workspace: Workspace, version: DatasetVersion) -> list[Row]:
    rows = read_manifest(workspace.blobs, version.content_id)
    return [row for row in rows if row.status is Status.OK and row.label is not None]


def _voted(workspace: Workspace, candidate: ModelVersion, champion: ModelVersion, rows: Sequence[Row]) -> list[Row]:
    """The rows that somebody has labelled since the champion's version, that are believed, and that neither learnt."""
    with workspace.database.read() as connection:
        versions = [get_version(connection, model.dataset) for model in (candidate, champion)]
        since = versions[1].created_at
        learnt = {row.sample for version in versions for row in _usable(workspace, version) if row.split is Split.TRAIN}
        open_rows = [
            row
            for row in rows
            if row.split is not Split.TRUSTED and row.sample not in learnt and row.trust >= _BELIEVED * TRUST_SCALE
        ]
        votes = votes_of(connection, candidate.name, [row.sample for row in open_rows])
    heard = {*HEARD, Role.GROUND_TRUTH}
    return [
        row
        for row in open_rows
        if any(vote.at > since and vote.role in heard and vote.label == row.label for vote in votes.get(row.sample, ()))
    ]


def _as_it_answers(workspace: Workspace, champion: ModelVersion) -> Answerer | None:
    """The champion with all that its ledger says; None where that cannot be had, as without its images."""
    try:
        return caught_up(workspace, champion).answerer
    except PellucidError as error:
        _LOG.warning("the gate judges %s as it was trained, without what it has learnt since: %s", champion.ref, error)
        return None


class _Pair:
    """Candidate and champion, opened once."""

    def __init__(
        self,
        workspace: Workspace,
        candidate: ModelVersion,
        champion: ModelVersion,
        now: Answerer | None,
        version: DatasetVersion,
        rules: Mapping[str, Any],
        progress: Progress,
    ) -> None:
        self._workspace = workspace
        stored = open_predictor(workspace, champion) if now is None else now.predictor
        self._models = [(candidate, open_predictor(workspace, candidate), None), (champion, stored, now)]
        self._version = version
        self._rules = rules
        self._progress = progress

    def judge(self, rows: Sequence[Row], *, trained: bool = False) -> GateReport:
        """The gate's report on the rows, with the champion as it answers now, or as it was trained."""
        index, ids = self._version.class_to_idx, [row.sample for row in rows]
        groups = [row.group for row in rows]
        found = []
        for model, predictor, now in self._models:
            state = None if trained else now
            X = embed_samples(self._workspace, predictor.extractor, ids, progress=self._progress)
            classes = predictor.classes if state is None else state.classes
            answers = predictor.predict_vectors(X) if state is None else state.reply(X)[0]
            found.append(aligned(model, classes, answers, self._version))
        return judge_gate(
            found[0],
            found[1],
            [index[row.label] for row in rows if row.label is not None],
            self._version.classes,
            groups if len(set(groups)) < len(groups) else None,
            **self._rules,
        )
