"""The service behind the routes: one live model, swapped whole, answering in batches and learning one by one."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import cast

from pellucid.errors import NotFoundError, NotReadyError, PellucidError, UsageError
from pellucid.flow.online.answer import Asked, answer
from pellucid.flow.online.answerer import Answerer
from pellucid.flow.online.carry import carry_over
from pellucid.flow.online.feedback import Heard, Said, hear
from pellucid.flow.online.live import LiveModel, caught_up
from pellucid.flow.online.reaudit import reaudit
from pellucid.flow.training.predict import choose_model
from pellucid.flow.workspace import Workspace
from pellucid.serve.batcher import Batcher, BatchStats
from pellucid.serve.kinds import kind_of, log_error
from pellucid.serve.manners import Manners
from pellucid.serve.shadowing import Shadowing
from pellucid.store.aliases import CHAMPION, alias_state
from pellucid.store.ledger import standing
from pellucid.store.models import get_model
from pellucid.types import Answer, ModelVersion

FOLLOW_SECONDS = 0.1  # how often others' learning and promotions are looked for
LULL_SECONDS = 0.003  # without a newcomer, after which those who were answered together are not waited for
PATIENCE_SECONDS = 5.0  # without word from the database, or without end of a batch: then the service is not ready
RETRY_SECONDS = 1.0  # after which a champion that cannot be loaded is tried again
REAUDIT_AFTER = 50  # labels heard, after which all of them are judged anew
REAUDIT_SHARE = 0.1  # of a core that judging anew may take: on the whole, and while requests take all there is
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the service can do its work."""

    ready: bool
    model: str | None  # "NAME@VERSION" that answers
    ledger: int  # the newest ledger entry that it has learnt
    reasons: tuple[str, ...]  # why not, where it is not ready
    lost: int = 0  # images that were labelled and are gone; their votes wait, and all else goes on


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An image that waits to be answered."""

    asked: Asked
    by: Answerer | None  # the state of the model that answers it; the newest where None


@dataclass(frozen=True, slots=True)
class _Coming:
    """A champion that is being loaded."""

    ref: str
    model: Future[LiveModel]


class Service:
    """Serves the champion of one name. `start` and `close` it, from any thread; the rest from one event loop.

    A new champion is loaded beside the old one, which answers and learns until then. Where it cannot be loaded, the old
    one goes on, and `readiness` says why.

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
        self._judge = ThreadPoolExecutor(1, thread_name_prefix="pellucid-judge")
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="pellucid-load")
        self._coming: _Coming | None = None
        self._batcher: Batcher[_Waiting, Answer | PellucidError] = Batcher(
            self._answer, most=most, depth=depth, lull=LULL_SECONDS
        )
        self._heard = 0  # labels since all were judged anew
        self._rests_until = 0.0
        self._manners = Manners(lambda: self.stats.seconds, REAUDIT_SHARE)
        self.shadowing = Shadowing(workspace, lambda: None if self._live is None else self._live.model.name)
        self._follower = threading.Thread(target=self._follow, name="pellucid-follow", daemon=True)

    def start(self) -> None:
        """Loads the champion, as far as there is one, and follows what is learnt and promoted from now on."""
        self._look()
        if self._coming is not None:
            wait([self._coming.model])
            self._look()
        self._follower.start()
        self.shadowing.start()

    def close(self) -> None:
        """Answers what is waiting, and stops."""
        self._stop.set()
        self._manners.close()
        self._batcher.close()
        self.shadowing.close()
        self._learner.shutdown()
        self._judge.shutdown(cancel_futures=True)
        self._lookers.shutdown()
        self._keeper.shutdown()
        if self._follower.is_alive():
            self._follower.join(timeout=10)
        self._loader.shutdown(cancel_futures=True)

    @property
    def live(self) -> LiveModel:
        """The model that answers. Raises NotReadyError where there is none yet."""
        if self._live is None:
            raise NotReadyError(self._trouble.get("model", "no model has been loaded yet"))
        return self._live

    @property
    def stats(self) -> BatchStats:
        """What the batches have been so far."""
        return self._batcher.stats

    @property
    def dead(self) -> tuple[str, ...]:
        """Parts of a started service that have died, which only a new process mends; as a rule none."""
        parts = {"follows the ledger": self._follower.is_alive(), "answers": self._batcher.alive}
        return tuple(
            f"the thread that {what} is dead; restart the server" for what, alive in parts.items() if not alive
        )

    @property
    def readiness(self) -> Readiness:
        """Whether the service can do its work now, and else why not."""
        reasons = list(self._trouble.values())
        silent = time.monotonic() - self._heard_from
        if silent > PATIENCE_SECONDS:
            reasons.append(f"the database has not answered for {silent:.0f} s")
        if (spent := self._batcher.at_work) > PATIENCE_SECONDS:
            reasons.append(f"answers have been waited for for {spent:.0f} s")
        reasons += self.dead
        live = self._live
        if live is None:
            return Readiness(False, None, 0, tuple(reasons) or ("no model has been loaded yet",))
        return Readiness(not reasons, live.model.ref, live.ledger, tuple(reasons), len(live.lost))

    async def predict(self, asked: Sequence[Asked]) -> list[Answer]:
        """Answers in order, all of them or none, and all by one state of the model.

        Raises:
            ImageError: an image cannot be used.
            BusyError: too many are waiting; NotReadyError, which is one: there is no champion.
            StorageError: the answers cannot be kept.
        """
        state = self.live.answerer  # also says at once that there is none
        futures: list[asyncio.Future[Answer | PellucidError]] = []
        try:
            for item in asked:
                entry = self._batcher.enqueue(_Waiting(item, state if len(asked) > 1 else None))
                futures.append(asyncio.wrap_future(entry))
            found = [await futures[0]] if len(futures) == 1 else await asyncio.gather(*futures)
        finally:
            for future in futures:  # where one is refused, nobody waits for the others
                future.cancel()
        for result in found:
            if isinstance(result, PellucidError):
                raise result
        answers = cast("list[Answer]", found)
        self.shadowing.offer(answers)
        return answers

    async def hear(self, said: Said, source: str) -> Heard:
        """Records what was said, and what the live model learns of it; errors are those of `flow.online.feedback`."""
        return await asyncio.get_running_loop().run_in_executor(self._learner, lambda: self._hear(said, source))

    def _hear(self, said: Said, source: str) -> Heard:
        heard = hear(self.live, said, source=source)
        self._heard += not heard.again
        if self._heard >= REAUDIT_AFTER and time.monotonic() >= self._rests_until and not self._stop.is_set():
            self._heard, self._rests_until = 0, math.inf
            self._judge.submit(self._reaudit, self.live)
        return heard

    def _reaudit(self, live: LiveModel) -> None:
        """Judges all labels anew; what turns out wrong is unlearnt."""
        began, spent = time.monotonic(), time.thread_time()
        try:
            found = reaudit(live, self._rest)
            self._trouble.pop("reaudit", None)
            if found.unlearnt or found.relabelled:
                _LOG.info("%s: %d labels unlearnt, %d relabelled", found.model, found.unlearnt, found.relabelled)
        except CancelledError:
            return
        except Exception as error:  # noqa: BLE001 - the thread has to live on, whatever happens
            self._trouble["reaudit"] = self._said_of(error, "judging the labels anew failed")
        self._rests_until = max(time.monotonic(), began + (time.thread_time() - spent) / REAUDIT_SHARE)

    def _rest(self) -> None:
        """Lets requests go first, between pieces of the judging, which a server that is to end does not wait for."""
        if self._stop.is_set():
            raise CancelledError
        self._manners()

    def _answer(self, waiting: list[_Waiting]) -> list[Answer | PellucidError]:
        newest = self.live.answerer
        pool = self._lookers if self.workspace.threads > 1 else None
        found: dict[int, Answer | PellucidError] = {}
        for state in dict.fromkeys(item.by or newest for item in waiting):  # one, but for a request torn by a swap
            places = [place for place, item in enumerate(waiting) if (item.by or newest) is state]
            asked = [waiting[place].asked for place in places]
            answers = answer(self.workspace, state, asked, pool=pool, keeper=self._keeper)
            found.update(zip(places, answers, strict=True))
        return [found[place] for place in range(len(waiting))]

    def _follow(self) -> None:
        while not self._stop.wait(FOLLOW_SECONDS):
            self._look()

    def _look(self) -> None:
        """Takes in what others have learnt and promoted."""
        try:
            if not self._is_up_to_date():
                champion = self._champion()
                if champion is not None:
                    self._swap(champion)
                if (live := self._live) is not None:
                    with live.lock, self.workspace.database.read() as connection:
                        live.follow(connection)
            self._heard_from = time.monotonic()
            self._trouble.pop("ledger", None)
        except Exception as error:  # noqa: BLE001 - the thread has to live on, whatever happens
            self._trouble["ledger"] = self._said_of(error, "following the ledger failed")

    def _is_up_to_date(self) -> bool:
        """Whether nobody has learnt or promoted anything; one question, because it is asked ten times a second."""
        if (live := self._live) is None or self._coming is not None or "model" in self._trouble:
            return False
        with self.workspace.database.read() as connection:
            return standing(connection, live.model) == (live.model.version, live.ledger)

    def _champion(self) -> ModelVersion | None:
        try:
            name = self._live.model.name if self._live is not None else choose_model(self.workspace, self._wanted).name
            with self.workspace.database.read() as connection:
                state = alias_state(connection, name, CHAMPION)
                if self._live is not None and self._live.model.version == state.version:
                    return self._live.model
                return get_model(connection, f"{name}@{CHAMPION}")
        except (NotFoundError, UsageError) as error:  # whose words are of names and commands only
            self._trouble["model"] = str(error)
            return None

    def _swap(self, champion: ModelVersion) -> None:
        """Begins to load the champion, and lets it answer once that is done; nobody waits for it."""
        if self._live is not None and champion.ref == self._live.model.ref:
            self._coming = None
            self._trouble.pop("model", None)
            return
        coming = self._coming
        if coming is None or coming.ref != champion.ref or (coming.model.done() and coming.model.exception()):
            self._coming = _Coming(champion.ref, self._loader.submit(self._load, champion))
        elif coming.model.done():
            self._live, self._coming = coming.model.result(), None
            self._trouble.pop("model", None)
            _LOG.info("%s answers from now on", champion.ref)

    def _load(self, champion: ModelVersion) -> LiveModel:
        try:
            live = caught_up(self.workspace, champion)
            carry_over(live)
        except Exception as error:
            self._trouble["model"] = self._said_of(error, f"{champion.ref} cannot be loaded")
            self._stop.wait(RETRY_SECONDS)
            raise
        return live

    def _said_of(self, error: Exception, what: str) -> str:
        """What readiness, which everybody may ask, says of an error: its kind. The log says the rest, once while it
        lasts; errors speak of paths, servers and statements.
        """
        said = kind_of(error, what)
        if said not in self._trouble.values():
            log_error(_LOG, error, what)
        return said
