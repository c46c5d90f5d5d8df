"""``/docs``: every route on one page, made from the OpenAPI document; no script, and nothing from another host."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_WORDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_WIDE, _NEXT = 100, " \\\n     "  # characters of one line of shell, and what goes on with it
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a field of a body."""

    name: str
    where: str  # "path", "query", "header", "cookie" or "body"
    kind: str  # what it is, in words
    required: bool
    about: str  # may be empty


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path."""

    method: str  # in capitals
    path: str
    about: str
    token: bool  # whether it wants one
    media_types: tuple[str, ...]  # in which the body may come; none where it takes no body
    fields: tuple[Field, ...]
    curl: str  # how to ask it from a shell

    @property
    def anchor(self) -> str:
        """Its name within the page.

        >>> Operation("GET", "/predictions/{uid}", "", True, (), (), "").anchor
        'get-predictions-uid'
        """
        return re.sub(r"[^a-z0-9]+", "-", f"{self.method} {self.path}".lower()).strip("-")


def add_docs(app: FastAPI) -> None:
    """Adds the page to an app, beside its ``/openapi.json``."""
    environment = _environment()

    @app.get("/docs", include_in_schema=False, response_class=HTMLResponse)
    def docs() -> HTMLResponse:
        page, style = render(app.openapi(), environment), _style(environment)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        headers = {
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-cache",
        }
        return HTMLResponse(page, headers=headers)


def body_of(
    schema: Mapping[str, Any], example: Mapping[str, Any], media_type: str = "application/json"
) -> dict[str, Any]:
    """What a route says of its body, for ``openapi_extra``; the page's curl sends the example."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema, "example": example}}}}


def render(document: Mapping[str, Any], environment: Environment | None = None) -> str:
    """The page of an OpenAPI document; every text of the document is escaped."""
    environment = environment or _environment()
    groups: dict[str, list[Operation]] = {}
    for tag, operation in _operations(document):
        groups.setdefault(tag, []).append(operation)
    style = Markup(_style(environment))  # noqa: S704 - our own file
    return environment.get_template("docs.html").render(info=document["info"], groups=groups, style=style)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Operation]]:
    """Each with the name of its group, in the document's order."""
    for path, methods in document["paths"].items():
        for method, found in methods.items():
            if method not in _METHODS:
                continue
            body = _resolved(found.get("requestBody", {}), document)
            content: Mapping[str, Any] = body.get("content", {})
            fields = [_parameter(_resolved(item, document), document) for item in found.get("parameters", ())]
            fields += _of_body(content, document)
            token = bool(found.get("security"))
            yield (
                next(iter(found.get("tags", ())), "Routes"),
                Operation(
                    method.upper(),
                    path,
                    found.get("description") or found.get("summary", ""),
                    token,
                    tuple(content),
                    tuple(fields),
                    _curl(method.upper(), path, content, token=token),
                ),
            )


def _parameter(item: Mapping[str, Any], document: Mapping[str, Any]) -> Field:
    kind = _kind(item.get("schema", {}), document)
    return Field(item["name"], item["in"], kind, item.get("required", False), item.get("description", ""))


def _of_body(content: Mapping[str, Any], document: Mapping[str, Any]) -> list[Field]:
    """The fields of the body's last form that has any; all of its forms say the same."""
    fields: list[Field] = []
    for media in content.values():
        schema = _resolved(media.get("schema", {}), document)
        wanted = schema.get("required", ())
        found = [
            Field(
                name, "body", _kind(inner, document), name in wanted, _resolved(inner, document).get("description", "")
            )
            for name, inner in schema.get("properties", {}).items()
        ]
        fields = found or fields
    return fields


def _kind(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """What a value has to be, in words.

    >>> _kind({"anyOf": [{"type": "string", "minLength": 1, "maxLength": 200}, {"type": "null"}]}, {})
    'text of 1 to 200 characters'
    >>> _kind({"type": "array", "items": {"type": "string", "format": "binary"}}, {})
    'list of file'
    """
    schema = _resolved(schema, document)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_kind(item, document) for item in schema[key] if item.get("type") != "null")
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}), document)}"
    if kind == "string" and schema.get("format") == "binary":
        return "file"
    low, high = schema.get("minLength"), schema.get("maxLength")
    if kind == "string" and high is not None:
        return f"text of {high if low == high else f'{low or 0} to {high}'} characters"
    return str(_WORDS.get(kind, kind))


def _curl(method: str, path: str, content: Mapping[str, Any], *, token: bool) -> str:
    """A request as a shell takes it, with the server's address and a token in variables.

    >>> print(_curl("GET", "/history", {}, token=True))
    curl -H "Authorization: Bearer $TOKEN" "$SERVER/history"
    """
    words = []
    if method not in ("GET", "POST") or (method == "POST" and not content):
        words.append(f"-X {method}")
    if token:
        words.append('-H "Authorization: Bearer $TOKEN"')
    for media_type, media in content.items():
        if media_type == "multipart/form-data":
            words += ["-F " + shlex.quote(f"{name}={value}") for name, value in media.get("example", {}).items()]
            break
        if media_type == "application/json":
            words.append("-H 'Content-Type: application/json'")
            words.append(f"-d {shlex.quote(json.dumps(media.get('example', {}), ensure_ascii=False))}")
            break
    place = re.sub(r"{(\w+)}", lambda found: found[1].upper(), path)  # curl would read braces as a list of addresses
    words.append(f'"$SERVER{place}"')
    line = f"curl {' '.join(words)}"
    return line if len(line) <= _WIDE else f"curl {_NEXT.join(words)}"


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a ``$ref`` into the document points to, or the thing itself."""
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("pellucid.serve"), PackageLoader("pellucid.evaluate")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    return environment


def _style(environment: Environment) -> str:
    return "".join(environment.get_template(name).render() for name in ("style.css", "docs.css"))


def _prose(text: str) -> Markup:
    r"""Paragraphs, and what stands between backticks as code.

    >>> _prose("Ask by `GET`, <b>.\n\nBye")
    Markup('<p>Ask by <code>GET</code>, &lt;b&gt;.</p>\n<p>Bye</p>')
    """
    parts = (str(escape(part.strip())) for part in text.split("\n\n") if part.strip())
    shown = (_CODE.sub(r"<code>\1</code>", part) for part in parts)
    return Markup("\n".join(f"<p>{part}</p>" for part in shown))  # noqa: S704 - escaped above
