"""The whole app: who may ask what, what every answer looks like, and what hostile clients get."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import struct
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pellucid import Project
from pellucid.flow.tokens import create_token, revoke_token

from ..conftest import until
from .conftest import Picture, Ready, Served, good

PUBLIC = {
    "/docs",
    "/openapi.json",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/ping",
    "/version",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/{name}/ready",
    "/v2/models/{name}/versions/{version}/ready",
}
UNLISTED = {"/docs", "/openapi.json"}  # by themselves
NEEDED = {
    ("POST", "/predict"): "predict",
    ("POST", "/feedback"): "feedback",
    ("POST", "/samples"): "feedback",
    ("GET", "/predictions/{uid}"): "predict",
    ("GET", "/history"): "predict",
    ("GET", "/v2/models/{name}"): "predict",
    ("GET", "/v2/models/{name}/versions/{version}"): "predict",
    ("POST", "/v2/models/{name}/infer"): "predict",
    ("POST", "/v2/models/{name}/versions/{version}/infer"): "predict",
    ("POST", "/invocations"): "predict",
}


@pytest.fixture
def guarded(ready_project: Project, ready: Ready) -> Iterator[Served]:
    """The server as it is as a rule: it asks for tokens."""
    with Served(ready_project, ready.tokens) as server:
        yield server


def doors_of(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of everything that the app answers."""

    def walk(routes: Any) -> Iterator[tuple[str, str]]:
        for route in routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                yield from walk(inner.routes)
            else:
                yield from ((method, route.path) for method in route.methods - {"HEAD"})

    return set(walk(app.routes))


def filled(path: str) -> str:
    return path.format(name="pets", version="1", uid="0" * 32)


def test_every_route_is_public_or_wants_a_right_and_the_lists_are_whole(guarded: Served) -> None:
    found = doors_of(guarded.app)
    assert {path for _, path in found} == PUBLIC | {path for _, path in NEEDED}
    assert {door for door in found if door[1] not in PUBLIC} == set(NEEDED)


@pytest.mark.parametrize("path", sorted(PUBLIC))
def test_the_public_routes_ask_for_nothing(guarded: Served, path: str) -> None:
    assert good(guarded.ask("GET", filled(path), token="")).content


@pytest.mark.parametrize(("method", "path"), sorted(NEEDED))
def test_without_a_good_token_no_route_does_anything(guarded: Served, method: str, path: str) -> None:
    for token in ("", "plt_wrong", "plt_" + "A" * 43, "é", "x" * 5000):
        headers = {"Authorization": f"Bearer {token}".encode()} if token else {}
        refused = guarded.ask(method, filled(path), token="", headers=headers)
        assert refused.status_code == 401, refused.text
        assert refused.headers["www-authenticate"] == "Bearer"
        assert list(refused.json()) == ["error"]
    for header in ({"Authorization": "Basic cGxhOmx1eA=="}, {"Authorization": "Bearer"}, {"X-Api-Key": "plt_wrong"}):
        assert guarded.ask(method, filled(path), token="", headers=header).status_code == 401


@pytest.mark.parametrize(("door", "right"), sorted(NEEDED.items()))
def test_every_route_wants_its_right_and_no_other_helps(guarded: Served, door: tuple[str, str], right: str) -> None:
    for name in guarded._tokens:
        status = guarded.ask(door[0], filled(door[1]), token=name).status_code
        assert (status == 403) == (name not in (right, "admin")), (door, name, status)
        assert status != 401


def test_a_token_works_in_either_header_until_it_is_revoked(guarded: Served) -> None:
    made = create_token(guarded.project.workspace, "phone", ["predict"], per_minute=1000)
    headers = {"X-Api-Key": made.secret}
    until(lambda: guarded.ask("GET", "/history", token="", headers=headers).status_code == 200)
    revoke_token(guarded.project.workspace, "phone")
    until(lambda: guarded.ask("GET", "/history", token="", headers=headers).status_code == 401)


def test_who_asks_too_often_is_told_when_to_come_back(guarded: Served) -> None:
    secret = create_token(guarded.project.workspace, "slow", ["predict"], per_minute=2).secret
    until(lambda: guarded.ask("GET", "/history", token=secret).status_code == 200)
    answers = [guarded.ask("GET", "/history", token=secret) for _ in range(2)]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    good(guarded.ask("GET", "/history", token="predict"))


def test_openapi_names_the_tokens_of_each_route_and_the_form_of_errors(served: Served) -> None:
    schema = served.get("/openapi.json")
    assert set(schema["components"]["securitySchemes"]) == {"bearer", "key"}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert ("security" in operation) == ((method.upper(), path) in NEEDED), path
            (refused,) = operation["responses"]["default"]["content"].values()
            assert refused["schema"] == {"$ref": "#/components/schemas/Refused"}
            assert operation["summary"]
            assert operation["description"]
    assert set(schema["paths"]) == (PUBLIC - UNLISTED) | {path for _, path in NEEDED}


def test_an_answer_says_how_sure_it_is_and_why(served: Served, picture: Picture) -> None:
    for label in ("cat", "dog", "eel"):
        found = served.predict(picture(label, 90))
        assert set(found) == {
            "id", "sample", "label", "confidence", "probabilities", "likely", "entropy", "novelty", "model", "ledger",
            "at",
        }  # fmt: skip
        shares = found["probabilities"]
        assert set(shares) == {"cat", "dog"}
        assert sum(shares.values()) == pytest.approx(1)
        assert found["confidence"] == max(shares.values()) == shares[found["label"]]
        assert found["label"] in found["likely"]
        assert set(found["likely"]) <= set(shares)
        assert 0 <= found["entropy"] <= 0.6932
        assert 0 <= found["novelty"] <= 1
        assert found["model"] == "pets@1"
        assert re.fullmatch("[0-9a-f]{32}", found["id"])
    assert served.predict(picture("eel", 91))["novelty"] == 1.0, "nothing like it was in training"


def _bomb(size: int) -> bytes:
    """A PNG of a few kilobytes that says, and is, size x size pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(10**6), 9)  # far too few; nobody is to look
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _truncated() -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").save(buffer, "PNG")
    return buffer.getvalue()[:-400]


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (_bomb(60_000), "image/png", 413),
        (_bomb(2**31 - 1), "image/png", 413),
        (_truncated(), "image/png", 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 415),
        (b"hello", "image/png", 415),
        (b"", "image/png", 422),
        (b"hello", "text/plain", 415),
        (b"hello", "", 415),
        (b"{}", "application/json", 400),
        (b"GIF89a", "image/gif", 422),
        (b"--b\r\n", "multipart/form-data; boundary=b", 400),
        (b"x", "multipart/form-data", 400),
    ],
)
def test_what_is_no_good_image_is_refused_by_every_door(
    served: Served, content: bytes, media_type: str, status: int
) -> None:
    refused = served.ask("POST", "/predict", content=content, headers={"content-type": media_type})
    assert refused.status_code == status, refused.text
    assert list(refused.json()) == ["error"]
    text = base64.b64encode(content).decode()
    infer = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [text]}]}
    for path, body in (("/invocations", {"inputs": [text]}), ("/v2/models/pets/infer", infer)):
        refused = served.ask("POST", path, json=body)
        assert 400 <= refused.status_code < 500, refused.text
        assert list(refused.json()) == ["error"]
    assert served.service.readiness.ready


def test_a_form_may_have_so_many_images_and_no_more(served: Served, picture: Picture) -> None:
    image = picture("cat", 1)
    several = {str(number): ("x.png", image, "image/png") for number in range(32)}
    assert len(good(served.ask("POST", "/predict", files=several)).json()["predictions"]) == 32
    refused = served.ask("POST", "/predict", files={**several, "32": ("x.png", image, "image/png")})
    assert refused.status_code == 413
    huge = {"label": "cat", "note": "x" * 70_000}
    assert served.ask("POST", "/samples", data=huge, files={"image": image}).status_code == 413
    too_long = served.ask("POST", "/predict", content=bytes(65 * 2**20), headers={"content-type": "image/png"})
    assert too_long.status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/predictions/../pellucid.toml",
        "/predictions/..%2f..%2fpellucid.toml",
        "/predictions/%00" + "0" * 31,
        "/predictions/" + "G" * 32,
        "/predictions/" + "0" * 33,
        "/v2/models/..%2f..%2fetc%2fpasswd",
        "/v2/models/pets%00",
        "/v2/models/pets/versions/99999999999999999999",
        "/docs/../../../etc/passwd",
        "//predict",
        "/predict/",
        "/.git/config",
    ],
)
def test_path_tricks_lead_nowhere(served: Served, path: str) -> None:
    answer = served.ask("GET", path)
    assert answer.status_code in {404, 422}, answer.text
    assert list(answer.json()) == ["error"]


def test_a_file_s_name_is_kept_nowhere(served: Served, picture: Picture) -> None:
    evil = {"../../etc/passwd": ("../../../tmp/evil.png", picture("cat", 2), "image/png")}
    (found,) = good(served.ask("POST", "/predict", files=evil)).json()["predictions"]
    assert "evil" not in json.dumps(served.get(f"/predictions/{found['id']}"))


def test_wrong_methods_say_which_is_right(served: Served) -> None:
    refused = served.ask("DELETE", "/predict")
    assert refused.status_code == 405
    assert refused.headers["allow"] == "POST"
    assert list(refused.json()) == ["error"]


def test_an_open_server_takes_no_web_page_s_requests(served: Served) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        assert served.ask("GET", "/history", headers=headers).status_code == 401


@pytest.fixture(scope="module")
def fuzzed(ready: Ready, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all that schemathesis sends."""
    folder = tmp_path_factory.mktemp("fuzzed") / "project"
    shutil.copytree(ready.folder, folder)
    with Project(folder, settings={"threads": 2}, environ={}) as project, Served(project) as server:
        yield server


@pytest.fixture(scope="module")
def schema(fuzzed: Served) -> Any:
    return schemathesis.openapi.from_dict(fuzzed.get("/openapi.json"))


GOOD, BAD = GenerationMode.POSITIVE, GenerationMode.NEGATIVE  # what the schema allows, and what it does not
SENT = [
    *((method, path, GOOD) for method, path in NEEDED),
    *(("GET", path, GOOD) for path in PUBLIC - UNLISTED),
    *((method, path, BAD) for method, path in NEEDED if method == "POST" or "{uid}" in path),
]


@pytest.mark.parametrize(("method", "path", "mode"), sorted(SENT))
def test_whatever_is_sent_is_answered_as_the_schema_says(
    fuzzed: Served, schema: Any, method: str, path: str, mode: GenerationMode
) -> None:
    operation = schema[path][method]

    @settings(max_examples=15, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        sent = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body
        headers = {name: value for name, value in sent.headers.items() if name.lower() != "content-length"}
        answer = fuzzed.ask(method, sent.path_url, content=body, headers=headers)
        assert answer.status_code < 500, answer.text
        answer.elapsed = timedelta()
        found = schemathesis.Response.from_httpx(answer, verify=False)
        case.validate_response(
            found, checks=[status_code_conformance, content_type_conformance, response_schema_conformance]
        )

    check()
