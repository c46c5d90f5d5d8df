from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pellucid.errors import AccessError, NotFoundError, RightError, StorageError, UsageError
from pellucid.flow.production.simulate import Picture, Shown, Visit
from pellucid.stream.http_sender import HttpSender
from pellucid.stream.sender import Halted, Reply

MakeSender = Callable[..., HttpSender]
AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def make_sender(live_server: Any) -> Iterator[MakeSender]:
    made: list[HttpSender] = []

    def make(url: str = "", token: str | None = live_server.token, **options: Any) -> HttpSender:
        made.append(HttpSender(url or live_server.url, token, **options))
        return made[-1]

    yield make
    for sender in made:
        sender.close()


@pytest.fixture
def send(picture: Callable[..., bytes]) -> Callable[..., Reply]:
    """send(sender, stop): shows it a cat, of which a user says that it is a dog."""
    visit = Visit("v-1", "monday", Picture("0" * 64, "cat.png", "cat", "0", bytes), "user-1", "dog")

    def run(sender: HttpSender, stop: threading.Event | None = None, data: bytes = b"") -> Reply:
        return sender.send(visit, Shown(data or picture("cat", 1), "image/png", ""), AT, stop or threading.Event())

    return run


def test_an_image_is_answered_and_its_label_heard(live_server: Any, make_sender: MakeSender, send: Any) -> None:
    reply = send(make_sender())
    assert (reply.prediction, reply.confidence, reply.error, reply.retries) == ("cat", 0.75, "", 0)
    assert (reply.action, reply.label, reply.trust, reply.weight) == ("learnt", "dog", 0.9, 0.9)
    assert reply.predict_seconds > 0
    assert reply.feedback_seconds > 0
    [uid] = live_server.predictions
    assert live_server.heard == {"v-1": {"prediction": uid, "label": "dog", "id": "v-1", "voter": "user-1"}}


def test_users_may_name_new_classes(live_server: Any, make_sender: MakeSender, send: Any) -> None:
    send(make_sender(new_classes=True))
    assert live_server.heard["v-1"]["new_class"] is True


@pytest.mark.parametrize("status", [409, 429, 502, 503, 504])
@pytest.mark.parametrize("path", ["/predict", "/feedback"])
def test_who_is_busy_is_asked_again(
    live_server: Any, make_sender: MakeSender, send: Any, path: str, status: int
) -> None:
    live_server.refusals = [(path, status, {"Retry-After": "0"})] * 2
    reply = send(make_sender())
    assert (reply.action, reply.retries, reply.error) == ("learnt", 2, "")
    assert live_server.asked.count(path) == 3


def test_the_sender_waits_as_long_as_it_is_told(live_server: Any, make_sender: MakeSender, send: Any) -> None:
    class Watched(threading.Event):
        waits: list[float | None] = []  # noqa: RUF012

        def wait(self, timeout: float | None = None) -> bool:
            self.waits.append(timeout)
            return False

    live_server.refusals = [("/predict", 503, {"Retry-After": "7"}), ("/predict", 429, {"Retry-After": "Wed, 21 Oct"})]
    assert send(make_sender(), Watched()).retries == 2
    assert Watched.waits[0] == 7.0
    assert 0 < (Watched.waits[1] or 0.0) < 1


def test_a_server_that_stays_busy_is_given_up(live_server: Any, make_sender: MakeSender, send: Any) -> None:
    live_server.refusals = [("/predict", 503, {"Retry-After": "30"})]
    with pytest.raises(StorageError, match=r"within 5 s \(predict: 503, not now\); check that the server runs"):
        send(make_sender(patience=5.0))


def test_a_server_that_goes_away_and_comes_back_loses_nothing(
    live_server: Any, make_sender: MakeSender, send: Any
) -> None:
    sender = make_sender()
    assert send(sender).action == "learnt"
    live_server.down()
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(send(sender)))
    thread.start()
    thread.join(0.3)
    assert not replies
    live_server.up()
    thread.join(60)
    [reply] = replies
    assert reply.action == "learnt"
    assert reply.retries > 0
    assert list(live_server.heard) == ["v-1"]


def test_a_server_that_is_not_there_is_given_up(live_server: Any, make_sender: MakeSender, send: Any) -> None:
    live_server.down()
    with pytest.raises(StorageError, match="ConnectError"):
        send(make_sender(patience=0.5))


@pytest.mark.parametrize("token", ["plt_wrong", None])
def test_a_token_that_is_not_known_ends_it_with_the_cure(make_sender: MakeSender, send: Any, token: str | None) -> None:
    with pytest.raises(AccessError, match="PELLUCID_TOKEN or in a file by --token-file, or make one with") as refused:
        send(make_sender(token=token))
    assert "plt_wrong" not in str(refused.value)


@pytest.mark.parametrize(("status", "kind"), [(403, RightError), (404, NotFoundError), (405, NotFoundError)])
def test_what_no_later_request_would_change_ends_it(
    live_server: Any, make_sender: MakeSender, send: Any, status: int, kind: type[Exception]
) -> None:
    live_server.refusals = [("/feedback", status, {})]
    with pytest.raises(kind, match="not now"):
        send(make_sender())


def test_a_redirection_ends_it(live_server: Any, make_sender: MakeSender, send: Any) -> None:
    live_server.refusals = [("/predict", 307, {"Location": "http://elsewhere.invalid/"})]
    with pytest.raises(NotFoundError, match="answers 307"):
        send(make_sender())


def test_an_error_of_one_image_or_vote_is_its_own(live_server: Any, make_sender: MakeSender, send: Any) -> None:
    sender = make_sender()
    reply = send(sender, data=b"no image")
    assert (reply.prediction, reply.action, reply.error) == (None, None, "predict: 415, not an image: unknown")
    live_server.refusals = [("/feedback", 500, {})]
    reply = send(sender)
    assert (reply.prediction, reply.action, reply.error) == ("cat", None, "feedback: 500, not now")
    assert send(sender).error == ""


def test_a_stop_ends_all_waiting(live_server: Any, make_sender: MakeSender, send: Any) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Halted):
        send(make_sender(), stop)
    assert live_server.asked == []
    stop.clear()
    live_server.refusals = [("/feedback", 503, {"Retry-After": "50"})]
    live_server.before = lambda path: stop.set() if path == "/feedback" else None
    reply = send(make_sender(), stop)
    assert (reply.prediction, reply.action, reply.error) == ("cat", None, "stopped before the label was said")


def test_another_server_s_answer_is_not_believed(make_sender: MakeSender, send: Any) -> None:
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    app.add_api_route("/predict", lambda: {"predictions": []}, methods=["POST"])
    server = uvicorn.Server(uvicorn.Config(app, port=0, ws="none", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        assert "not as Pellucid's server gives it" in send(make_sender(f"http://127.0.0.1:{port}")).error
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("127.0.0.1:8000", "names no server"),
        ("ftp://host", "names no server"),
        ("http://", "names no server"),
        ("http://ann:hunter2@host", "holds a name or a password"),
    ],
)
def test_a_url_that_is_none_is_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        HttpSender(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("token", ["", "plt_a b", "plt_a\nX: y", "plt_ä"])
def test_a_token_that_cannot_be_one_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(UsageError, match="the token is empty, or holds") as refused:
        HttpSender("http://host", token)
    assert "plt_" not in str(refused.value)
