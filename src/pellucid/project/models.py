"""What a project does with its models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.project.opened import Opened, check_model_name
from pellucid.types import ModelVersion, Prediction

if TYPE_CHECKING:
    from pellucid.drift.watching import DriftReport
    from pellucid.evaluate.compare import Comparison
    from pellucid.evaluate.evaluation import Evaluation
    from pellucid.flow.online.drift_stream import StreamDrift
    from pellucid.flow.production.prune import Pruned
    from pellucid.flow.production.shadow import ShadowReport
    from pellucid.store.aliases import Change
    from pellucid.store.shadows import Shadow
    from pellucid.store.verdicts import Verdict


class ModelVerbs(Opened):
    """Evaluate, compare, promote, predict; see `pellucid.Project`."""

    def models(self, name: str | None = None) -> list[ModelVersion]:
        """The registry, newest first.

        Raises:
            NotFoundError: there is no model of that name.
        """
        from pellucid.store.models import list_models

        with self.workspace.database.read() as connection:
            check_model_name(connection, name)
            return list_models(connection, name)

    def model(self, ref: str) -> ModelVersion:
        """The model that ``NAME``, ``NAME@champion`` or ``NAME@VERSION`` names."""
        from pellucid.store.models import get_model

        with self.workspace.database.read() as connection:
            return get_model(connection, ref)

    def choose_model(self, ref: str | None = None) -> ModelVersion:
        """The model that is meant; the champion of the only name where None."""
        from pellucid.flow.training.predict import choose_model

        return choose_model(self.workspace, ref)

    def card(self, model: str) -> str:
        """The model card, Markdown."""
        from pellucid.flow.training.evaluate import read_card

        return read_card(self.workspace, self.model(model))

    def report_path(self, model: ModelVersion) -> Path:
        """Where the model's report is."""
        return self.workspace.report_folder(model.name, model.version) / "report.html"

    def mirror(self, *, every: bool = False, dry_run: bool = False) -> int:
        """Completes what MLflow misses; returns how many models were, or would be, completed.

        Args:
            every: repeats every model, whether MLflow should have it or not: after ``mlflow_url`` has changed.
            dry_run: changes nothing.
        """
        from pellucid.flow.training.job import complete_all
        from pellucid.flow.training.mirror import mirror_aliases
        from pellucid.store.models import forget_mirrors, unmirrored

        if dry_run:
            with self.workspace.database.read() as connection:
                return len(self.models() if every else unmirrored(connection))
        if every:
            with self.workspace.database.write() as connection:
                forget_mirrors(connection)
        count = complete_all(self.workspace, progress=self._progress)
        for name in {model.name for model in self.models()}:
            mirror_aliases(self.workspace, name)
        return count

    def export_model(self, model: str, target: str | Path) -> ModelVersion:
        """Writes a model with its weights to a folder that MLflow loads anywhere."""
        from pellucid.flow.training.portable import export_model

        return export_model(self.workspace, model, Path(target))

    def evaluate(self, model: str, dataset: str | None = None) -> Evaluation:
        """A model's metrics on the test images of a dataset version, its own where None."""
        from pellucid.flow.training.evaluate import evaluate_model

        return evaluate_model(self.workspace, model, dataset, progress=self._progress)

    def report(self, model: str, *, against: Sequence[str] = ()) -> Path:
        """Writes a model's report and returns its folder."""
        from pellucid.flow.training.report import write_report

        return write_report(self.workspace, self.model(model), against=against, progress=self._progress)

    def compare(self, first: str, second: str, dataset: str | None = None) -> Comparison:
        """A paired test of two models on the same test images."""
        from pellucid.flow.training.evaluate import compare_models

        return compare_models(self.workspace, first, second, dataset, progress=self._progress)

    def drift(self, model: str | None = None) -> DriftReport:
        """Whether what the champion is asked about has moved away from its test images."""
        from pellucid.flow.production.drift import find_drift

        return find_drift(self.workspace, model)

    def stream_drift(self, model: str | None = None) -> StreamDrift | None:
        """What the detector of [drift] says of the champion's newest confidences; None where none is named."""
        from pellucid.flow.online.drift_stream import follow_stream

        return follow_stream(self.workspace, model)

    def prune(self, days: float | None = None, *, dry_run: bool = False) -> Pruned:
        """Forgets answers older than so many days, the setting ``keep_days`` where None, that no vote names."""
        from pellucid.flow.production.prune import prune

        kept = self.workspace.settings.keep_days if days is None else days
        return prune(self.workspace, kept, dry_run=dry_run, progress=self._progress)

    def promote(self, model: str, **options: Any) -> Change:
        """Makes a model the champion; options as of ``pellucid.flow.production.promote.promote``."""
        from pellucid.flow.production.promote import promote

        return promote(self.workspace, model, **options)

    def rollback(self, name: str, **options: Any) -> Change:
        """Makes the champion before the present one champion again."""
        from pellucid.flow.production.promote import rollback

        with self.workspace.database.read() as connection:
            check_model_name(connection, name)
        return rollback(self.workspace, name, **options)

    def history(self, name: str | None = None) -> list[Change]:
        """Who was champion, when and why, oldest first.

        Raises:
            NotFoundError: there is no model of that name.
        """
        from pellucid.store.aliases import history_of

        with self.workspace.database.read() as connection:
            check_model_name(connection, name)
            return history_of(connection, name)

    def gate(self, candidate: str, **options: Any) -> Verdict:
        """Judges a candidate against the champion; options as of ``pellucid.flow.production.gate.gate``."""
        from pellucid.flow.production.gate import gate

        return gate(self.workspace, candidate, progress=self._progress, **options)

    def verdicts(self, name: str | None = None) -> list[Verdict]:
        """What the gate said of candidates, oldest first.

        Raises:
            NotFoundError: there is no model of that name.
        """
        from pellucid.store.verdicts import verdicts_of

        with self.workspace.database.read() as connection:
            check_model_name(connection, name)
            return verdicts_of(connection, name)

    def begin_shadow(self, candidate: str, **options: Any) -> Shadow:
        """Lets a candidate answer beside the champion; options as of ``flow.production.shadow.begin_shadow``."""
        from pellucid.flow.production.shadow import begin_shadow

        return begin_shadow(self.workspace, candidate, **options)

    def end_shadow(self, name: str, *, dry_run: bool = False) -> Shadow:
        """Ends what is in the shadow of the name's champion.

        Raises:
            NotFoundError: nothing is.
        """
        from pellucid.flow.production.shadow import end_shadow

        with self.workspace.database.read() as connection:
            check_model_name(connection, name)
        return end_shadow(self.workspace, name, dry_run=dry_run)

    def shadow_report(self, ref: str, **options: Any) -> ShadowReport:
        """Where a candidate in the shadow differs from the champion; options as of
        ``pellucid.flow.production.shadow.shadow_report``.
        """
        from pellucid.flow.production.shadow import shadow_report

        with self.workspace.database.read() as connection:
            check_model_name(connection, ref.partition("@")[0])
        return shadow_report(self.workspace, ref, **options)

    def predict(self, *paths: str | Path, model: str | None = None, record: bool = True) -> list[Prediction]:
        """Answers for image files and for folders of them."""
        return list(self.predict_each(paths, model=model, record=record))

    def predict_each(
        self, paths: Iterable[str | Path], *, model: str | None = None, record: bool = True
    ) -> Iterator[Prediction]:
        """The same one by one, for more images than fit in memory."""
        from pellucid.flow.training.predict import predict

        return predict(self.workspace, paths, model=model, record=record, progress=self._progress)
