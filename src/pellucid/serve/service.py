"""The service behind the routes: one live model, swapped whole, answering in batches and learning one by one."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

from pellucid.errors import NotFoundError, PellucidError, StorageError
from pellucid.flow.answer import Asked, answer
from pellucid.flow.feedback import Heard, Said, hear
from pellucid.flow.live import LiveModel
from pellucid.flow.predict import choose_model
from pellucid.flow.workspace import Workspace
from pellucid.serve.batcher import Batcher, BatchStats
from pellucid.store.aliases import CHAMPION, alias_state
from pellucid.store.ledger import standing
from pellucid.store.models import get_model
from pellucid.types import Answer, ModelVersion

FOLLOW_SECONDS = 0.05  # how often others' learning and promotions are looked for
LULL_SECONDS = 0.003  # without a newcomer, after which those who were answered together are not waited for
PATIENCE_SECONDS = 5.0  # without word from the database after which the service is not ready
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the service can do its work."""

    ready: bool
    model: str | None  # "NAME@VERSION" that answers
    ledger: int  # the newest ledger entry that it has learnt
    reasons: tuple[str, ...]  # why not, where it is not ready


class Service:
    """Serves the champion of one name. `start` and `close` it, from any thread; the rest from one event loop.

    Where a new champion cannot be loaded, the old one goes on, and `readiness` says why.

    Args:
        workspace: the project.
        name: of the dataset that the model classifies; the only one with a model where None.
        most: images that are answered together.
        depth: images that may wait.
    """

    def __init__(self, workspace: Workspace, name: str | None = None, *, most: int = 16, depth: int = 256) -> None:
        self.workspace = workspace
        self._wanted = name
        self._live: LiveModel | None = None
        self._trouble: dict[str, str] = {}  # what is wrong, by part
        self._heard_from = time.monotonic()
        self._stop = threading.Event()
        self._lookers = ThreadPoolExecutor(workspace.threads, thread_name_prefix="pellucid-look")
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="pellucid-keep")
        self._learner = ThreadPoolExecutor(1, thread_name_prefix="pellucid-learn")
        self._batcher: Batcher[Asked, Answer | PellucidError] = Batcher(
            self._answer, most=most, depth=depth, lull=LULL_SECONDS
        )
        self._follower = threading.Thread(target=self._follow, name="pellucid-follow", daemon=True)

    def start(self) -> None:
        """Loads the champion, as far as there is one, and follows what is learnt and promoted from now on."""
        self._look()
        self._follower.start()

    def close(self) -> None:
        """Answers what is waiting, and stops."""
        self._stop.set()
        self._batcher.close()
        self._learner.shutdown()
        self._lookers.shutdown()
        self._keeper.shutdown()
        if self._follower.is_alive():
            self._follower.join(timeout=10)

    @property
    def live(self) -> LiveModel:
        """The model that answers. Raises StorageError where there is none yet."""
        if self._live is None:
            raise StorageError(self._trouble.get("model", "no model has been loaded yet"))
        return self._live

    @property
    def stats(self) -> BatchStats:
        """What the batches have been so far."""
        return self._batcher.stats

    @property
    def readiness(self) -> Readiness:
        """Whether the service can do its work now, and else why not."""
        reasons = list(self._trouble.values())
        silent = time.monotonic() - self._heard_from
        if silent > PATIENCE_SECONDS:
            reasons.append(f"the database has not answered for {silent:.0f} s")
        if not self._follower.is_alive():
            reasons.append("the thread that follows the ledger is dead; restart the server")
        live = self._live
        if live is None:
            return Readiness(False, None, 0, tuple(reasons) or ("no model has been loaded yet",))
        return Readiness(not reasons, live.model.ref, live.ledger, tuple(reasons))

    async def predict(self, asked: Sequence[Asked]) -> list[Answer]:
        """Answers in order, all of them or none.

        Raises:
            ImageError: an image cannot be used.
            BusyError: too many are waiting.
            StorageError: there is no champion, or its answers cannot be kept.
        """
        self.live  # noqa: B018 - says at once that there is none
        found = await asyncio.gather(*map(self._batcher.submit, asked))
        for item in found:
            if isinstance(item, PellucidError):
                raise item
        return cast("list[Answer]", found)

    async def hear(self, said: Said, source: str) -> Heard:
        """Records what was said, and what the live model learns of it; errors are those of `pellucid.flow.feedback`."""
        return await asyncio.get_running_loop().run_in_executor(self._learner, lambda: self._hear(said, source))

    def _hear(self, said: Said, source: str) -> Heard:
        return hear(self.live, said, source=source)

    def _answer(self, asked: list[Asked]) -> list[Answer | PellucidError]:
        pool = self._lookers if self.workspace.threads > 1 else None
        return answer(self.workspace, self.live.answerer, asked, pool=pool, keeper=self._keeper)

    def _follow(self) -> None:
        while not self._stop.wait(FOLLOW_SECONDS):
            self._look()

    def _look(self) -> None:
        """Takes in what others have learnt and promoted."""
        try:
            if not self._is_up_to_date():
                champion = self._champion()
                if champion is not None and (self._live is None or champion.ref != self._live.model.ref):
                    self._swap(champion)
                if (live := self._live) is not None:
                    with live.lock, self.workspace.database.read() as connection:
                        live.follow(connection)
            self._heard_from = time.monotonic()
            self._trouble.pop("ledger", None)
        except PellucidError as error:
            self._trouble["ledger"] = str(error)
        except Exception as error:  # noqa: BLE001 - the thread has to live on, whatever happens
            _LOG.exception("following the ledger failed")
            self._trouble["ledger"] = f"following the ledger failed: {type(error).__name__}; the log says more"

    def _is_up_to_date(self) -> bool:
        """Whether nobody has learnt or promoted anything; one question, because it is asked twenty times a second."""
        if (live := self._live) is None or "model" in self._trouble:
            return False
        with self.workspace.database.read() as connection:
            return standing(connection, live.model) == (live.model.version, live.ledger)

    def _champion(self) -> ModelVersion | None:
        try:
            name = self._live.model.name if self._live is not None else choose_model(self.workspace, self._wanted).name
            with self.workspace.database.read() as connection:
                state = alias_state(connection, name, CHAMPION)
                if state.version is None:
                    raise NotFoundError(f"{name} has no champion; `pellucid models promote {name}@VERSION` makes one")
                if self._live is not None and self._live.model.version == state.version:
                    self._trouble.pop("model", None)
                    return self._live.model
                return get_model(connection, f"{name}@{state.version}")
        except NotFoundError as error:
            self._trouble["model"] = str(error)
            return None

    def _swap(self, champion: ModelVersion) -> None:
        failed = f"{champion.ref} cannot be loaded"
        if self._trouble.get("model", "").startswith(failed) and self._stop.wait(1.0):
            return
        try:
            live = LiveModel(self.workspace, champion)
            with self.workspace.database.read() as connection:
                live.follow(connection)
        except PellucidError as error:
            self._trouble["model"] = f"{failed}: {error}"
            return
        self._live = live
        self._trouble.pop("model", None)
        _LOG.info("%s answers from now on", champion.ref)
