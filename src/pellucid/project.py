"""A project from Python: every verb of the command line as a method that returns frozen values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pellucid.config import find_root
from pellucid.errors import UsageError
from pellucid.flow.workspace import Progress, Workspace, init_workspace, no_progress, open_workspace
from pellucid.types import DatasetVersion, Job, ModelVersion, Prediction, Role

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from pellucid.evaluate.compare import Comparison
    from pellucid.evaluate.evaluation import Evaluation
    from pellucid.flow.clean import CleanReport
    from pellucid.flow.corrupt import CorruptReport
    from pellucid.flow.export import ExportReport
    from pellucid.flow.grid import Grid
    from pellucid.flow.ingest import IngestReport
    from pellucid.flow.inspect import Inspection
    from pellucid.flow.lineage import Diff, Impact, Step
    from pellucid.flow.monday_tuesday import Benchmark, Plan
    from pellucid.flow.retrain import Outlook, Retraining, Told
    from pellucid.flow.worker import Watcher
    from pellucid.store.aliases import Change
    from pellucid.store.verdicts import Verdict


class Project:
    """The project at a folder, or at the nearest folder above it.

    >>> import tempfile
    >>> with Project.init(tempfile.mkdtemp()) as project:
    ...     project.datasets()
    []

    Args:
        path: the folder with pellucid.toml, or any folder below it.
        progress: told how far long acts are.
        environ: environment variables; those of the process where None.
        settings: overrides of single settings by name.

    Raises:
        NotFoundError: there is no project at or above the path.
        ConfigError: its settings are wrong.
    """

    def __init__(
        self,
        path: str | Path = ".",
        *,
        progress: Progress = no_progress,
        environ: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.workspace: Workspace = open_workspace(find_root(Path(path)), environ=environ, flags=settings)
        self._progress = progress

    @classmethod
    def init(cls, path: str | Path = ".") -> Self:
        """Makes the folder a project, and opens it."""
        init_workspace(Path(path))
        return cls(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the database's connections back."""
        self.workspace.database.close()

    def ingest(self, source: str | Path, dataset: str, **options: Any) -> IngestReport:
        """Reads a folder, archive or manifest into a dataset; options as of ``pellucid.flow.ingest.ingest``."""
        from pellucid.flow.ingest import ingest

        if "role" in options:
            options["role"] = _role(options["role"])
        return ingest(self.workspace, source, dataset, progress=self._progress, **options)

    def datasets(self, name: str | None = None) -> list[DatasetVersion]:
        """All versions of all datasets, or of one, oldest first.

        Raises:
            NotFoundError: there is no dataset of that name.
        """
        from pellucid.store.datasets import get_version, list_versions

        with self.workspace.database.read() as connection:
            return list_versions(connection, None if name is None else get_version(connection, name).dataset)

    def inspect(self, dataset: str) -> Inspection:
        """What a dataset version holds and what was found in it."""
        from pellucid.flow.inspect import inspect

        return inspect(self.workspace, dataset)

    def diff(self, before: str, after: str) -> Diff:
        """What changed between two versions, label by label."""
        from pellucid.flow.lineage import diff

        return diff(self.workspace, before, after)

    def lineage(self, dataset: str) -> list[Step]:
        """A version and its ancestors, with the models made from each."""
        from pellucid.flow.lineage import lineage

        return lineage(self.workspace, dataset)

    def impact(self, sample: str) -> Impact:
        """The versions, models and predictions that a sample has touched."""
        from pellucid.flow.lineage import impact

        return impact(self.workspace, sample)

    def settle(
        self, dataset: str, samples: str | Sequence[str], label: str, *, voter: str | None = None
    ) -> DatasetVersion:
        """Says what samples show, as ground truth, and commits a version."""
        from pellucid.flow.settle import settle

        return settle(self.workspace, dataset, _several(samples), label, voter=voter)

    def clean(self, dataset: str, **options: Any) -> CleanReport:
        """Audits the labels and commits what follows; options as of ``pellucid.flow.clean.clean``."""
        from pellucid.flow.clean import clean

        return clean(self.workspace, dataset, progress=self._progress, **options)

    def audit_page(self, report: CleanReport, *, extractor: str | None = None) -> Path:
        """Writes what an audit found as one page with pictures, and returns its path."""
        from pellucid.flow.suspects import write_page

        return write_page(self.workspace, report, extractor=extractor, progress=self._progress)

    def export_suspects(self, report: CleanReport, target: str | Path) -> int:
        """Writes an audit's suspects as ``.csv``, or as ``.json`` for Label Studio; returns how many there are."""
        from pellucid.flow.suspects import export_suspects

        return export_suspects(self.workspace, report, Path(target))

    def corrupt(self, dataset: str, **options: Any) -> CorruptReport:
        """Breaks labels or images on purpose; options as of ``pellucid.flow.corrupt.corrupt``."""
        from pellucid.flow.corrupt import corrupt

        return corrupt(self.workspace, dataset, progress=self._progress, **options)

    def revert(self, dataset: str) -> DatasetVersion:
        """Makes an earlier version the newest one again."""
        from pellucid.flow.edit import revert

        return revert(self.workspace, dataset)[0]

    def export(self, dataset: str, target: str | Path, *, include_unusable: bool = False) -> ExportReport:
        """Writes a version as class folders with a manifest and Croissant metadata."""
        from pellucid.flow.export import export

        path = Path(target)
        return export(self.workspace, dataset, path, include_unusable=include_unusable, progress=self._progress)

    def embed(self, dataset: str, extractor: str | None = None) -> int:
        """Computes and caches the vectors of a version's images; returns how many there are."""
        from pellucid.flow.embed import embed_samples

        opened = self.workspace.extractor(extractor)
        ids = [row.sample for row in self.inspect(dataset).rows]
        return len(embed_samples(self.workspace, opened, ids, progress=self._progress))

    def submit(self, grid: Grid) -> list[Job]:
        """Puts a grid of trainings into the queue."""
        from pellucid.flow.grid import submit

        return submit(self.workspace, grid)

    def train(
        self,
        *datasets: str,
        models: str | Sequence[str] = ("kernel",),
        settings: Mapping[str, Any] | None = None,
        extractors: str | Sequence[str] = (),
        seed: int | None = None,
    ) -> list[ModelVersion]:
        """Trains every dataset with every model under every combination of settings, and returns the models.

        Args:
            datasets: references, ``"trash"`` or ``"trash@2"``.
            models: head specifications; one may stand alone.
            settings: the values to try of each setting, a list each; one value may stand alone.
            extractors: extractor specifications; the project's own where empty.
            seed: decides every random choice; the project's own where None.

        Raises:
            UsageError, NotFoundError: a model, a setting or a dataset does not exist.
            TrainingError: a training failed; the others are done all the same.
        """
        from pellucid.flow.grid import Grid
        from pellucid.flow.train import train

        grid = Grid(
            datasets=datasets,
            models=_several(models),
            settings={name: _several(values) for name, values in (settings or {}).items()},
            extractors=_several(extractors),
            seed=self.workspace.settings.seed if seed is None else seed,
        )
        return train(self.workspace, grid, progress=self._progress)

    def monday_tuesday(self, plan: Plan, folder: str | Path, *, jobs: int = 1, again: bool = False) -> Benchmark:
        """Measures methods by the Monday/Tuesday protocol; see ``pellucid.flow.monday_tuesday.run_benchmark``."""
        from pellucid.flow.monday_tuesday import run_benchmark

        return run_benchmark(self.workspace, plan, Path(folder), jobs=jobs, again=again, progress=self._progress)

    def work(
        self,
        *,
        only: Sequence[int] | None = None,
        watch: bool = False,
        report: Watcher = lambda job: None,
        retrained: Told = lambda outcome: None,
        progress: Callable[[Job], Progress] | None = None,
    ) -> int:
        """Works off the queue, or the jobs named, or for ever; returns how many were done.

        Args:
            only: ids of jobs.
            watch: goes on for ever, trains what arrives and retrains what is due.
            report: told of each job when it starts and when it ends.
            retrained: told of each retraining.
            progress: told how far a job is.
        """
        from pellucid.flow.retrain import Retrainings
        from pellucid.flow.worker import work

        shown = progress or (lambda job: self._progress)
        between = Retrainings(self.workspace, report=retrained, progress=self._progress).look
        return work(self.workspace, only=only, watch=watch, between=between, report=report, progress=shown)

    def cancel(self, job: int) -> Job:
        """Takes a job out of the queue."""
        from pellucid.store.jobs import cancel

        with self.workspace.database.write() as connection:
            return cancel(connection, job)

    def retry(self, job: int) -> Job:
        """Puts a failed or cancelled job back into the queue."""
        from pellucid.store.jobs import retry

        with self.workspace.database.write() as connection:
            return retry(connection, job)

    def jobs(self, ids: Sequence[int] | None = None) -> list[Job]:
        """The queue, in the order in which it is worked off."""
        from pellucid.store.jobs import list_jobs

        with self.workspace.database.read() as connection:
            return list_jobs(connection, ids)

    def models(self, name: str | None = None) -> list[ModelVersion]:
        """The registry, newest first.

        Raises:
            NotFoundError: there is no model of that name.
        """
        from pellucid.store.models import list_models

        with self.workspace.database.read() as connection:
            _check_model_name(connection, name)
            return list_models(connection, name)

    def model(self, ref: str) -> ModelVersion:
        """The model that ``NAME``, ``NAME@champion`` or ``NAME@VERSION`` names."""
        from pellucid.store.models import get_model

        with self.workspace.database.read() as connection:
            return get_model(connection, ref)

    def choose_model(self, ref: str | None = None) -> ModelVersion:
        """The model that is meant; the champion of the only name where None."""
        from pellucid.flow.predict import choose_model

        return choose_model(self.workspace, ref)

    def card(self, model: str) -> str:
        """The model card, Markdown."""
        from pellucid.flow.evaluate import read_card

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
        from pellucid.flow.job import complete_all
        from pellucid.flow.promote import mirror_aliases
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
        from pellucid.flow.portable import export_model

        return export_model(self.workspace, model, Path(target))

    def evaluate(self, model: str, dataset: str | None = None) -> Evaluation:
        """A model's metrics on the test images of a dataset version, its own where None."""
        from pellucid.flow.evaluate import evaluate_model

        return evaluate_model(self.workspace, model, dataset, progress=self._progress)

    def report(self, model: str, *, against: Sequence[str] = ()) -> Path:
        """Writes a model's report and returns its folder."""
        from pellucid.flow.report import write_report

        return write_report(self.workspace, self.model(model), against=against, progress=self._progress)

    def compare(self, first: str, second: str, dataset: str | None = None) -> Comparison:
        """A paired test of two models on the same test images."""
        from pellucid.flow.evaluate import compare_models

        return compare_models(self.workspace, first, second, dataset, progress=self._progress)

    def promote(self, model: str, **options: Any) -> Change:
        """Makes a model the champion; options as of ``pellucid.flow.promote.promote``."""
        from pellucid.flow.promote import promote

        return promote(self.workspace, model, **options)

    def rollback(self, name: str, **options: Any) -> Change:
        """Makes the champion before the present one champion again."""
        from pellucid.flow.promote import rollback

        with self.workspace.database.read() as connection:
            _check_model_name(connection, name)
        return rollback(self.workspace, name, **options)

    def history(self, name: str | None = None) -> list[Change]:
        """Who was champion, when and why, oldest first.

        Raises:
            NotFoundError: there is no model of that name.
        """
        from pellucid.store.aliases import history_of

        with self.workspace.database.read() as connection:
            _check_model_name(connection, name)
            return history_of(connection, name)

    def retrain(self, dataset: str) -> Retraining:
        """Retrains now, as pellucid.toml's [retrain] says; see ``pellucid.flow.retrain.retrain``."""
        from pellucid.flow.retrain import retrain_now

        return retrain_now(self.workspace, dataset, progress=self._progress)

    def outlook(self, dataset: str) -> Outlook:
        """What a retraining would do now."""
        from pellucid.flow.retrain import outlook

        return outlook(self.workspace, dataset)

    def gate(self, candidate: str, **options: Any) -> Verdict:
        """Judges a candidate against the champion; options as of ``pellucid.flow.gate.gate``."""
        from pellucid.flow.gate import gate

        return gate(self.workspace, candidate, progress=self._progress, **options)

    def verdicts(self, name: str | None = None) -> list[Verdict]:
        """What the gate said of candidates, oldest first.

        Raises:
            NotFoundError: there is no model of that name.
        """
        from pellucid.store.verdicts import verdicts_of

        with self.workspace.database.read() as connection:
            _check_model_name(connection, name)
            return verdicts_of(connection, name)

    def predict(self, *paths: str | Path, model: str | None = None, record: bool = True) -> list[Prediction]:
        """Answers for image files and for folders of them."""
        return list(self.predict_each(paths, model=model, record=record))

    def predict_each(
        self, paths: Iterable[str | Path], *, model: str | None = None, record: bool = True
    ) -> Iterator[Prediction]:
        """The same one by one, for more images than fit in memory."""
        from pellucid.flow.predict import predict

        return predict(self.workspace, paths, model=model, record=record, progress=self._progress)


def _several(values: Any) -> tuple[Any, ...]:
    """One value or several as a tuple; a text is one value.

    >>> _several("ridge"), _several([0.1, 1]), _several(0.1)
    (('ridge',), (0.1, 1), (0.1,))
    """
    return tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else (values,)


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise UsageError(f"{name!r} is no role; wanted is {', '.join(Role)}") from None


def _check_model_name(connection: Connection, name: str | None) -> None:
    """Refuses a name that no model has; every name that one has, has a version 1."""
    from pellucid.store.models import get_model

    if name is not None:
        get_model(connection, f"{name}@1")
