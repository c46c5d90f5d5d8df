"""Who gets in, what every page has around it, and what browsers are told."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from pellucid.web.pages import PAGES
from pellucid.web.view import Page

from .conftest import Person, Site, serious

Come = Callable[..., Person]


def test_nobody_gets_in_without_a_good_token(site: Site, person: Come) -> None:
    page = person(None).open("/")
    assert "/login" in page.url
    answer = httpx.post(f"{site.url}/login", data={"token": "plt_wrong"})
    assert answer.status_code == 401
    assert "unknown or revoked" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_form_of_another_site_logs_nobody_in_or_out(site: Site) -> None:
    for path in ("/login", "/logout"):
        data = {"token": site.tokens["admin"]}
        answer = httpx.post(site.url + path, data=data, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403
        assert "another site" in answer.json()["error"]


def test_the_cookie_tells_nothing_and_leads_nowhere_else(site: Site) -> None:
    answer = httpx.post(f"{site.url}/login", data={"token": site.tokens["predict"], "next": "//evil.example"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
    assert site.tokens["predict"] not in cookie


def test_logging_out_ends_the_session(site: Site, person: Come) -> None:
    somebody = person("predict")
    page = somebody.open("/")
    (cookie,) = [item for item in somebody.context.cookies() if item["name"] == "pellucid_session"]
    page.get_by_role("button", name="Log out").click()
    page.wait_for_selector("#token")
    answer = httpx.get(site.url, cookies={"pellucid_session": cookie["value"]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2F")


def test_pictures_are_shown_to_those_who_are_logged_in(site: Site, person: Come) -> None:
    path = f"/ui/pictures/{site.samples()[0]}"
    assert httpx.get(site.url + path).status_code == 401
    found = person("predict").context.request.get(site.url + path)
    assert found.status == 200
    assert found.headers["content-type"] in {"image/png", "image/jpeg"}
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in found.headers["content-security-policy"]


def test_pages_may_not_be_framed_or_sniffed(site: Site) -> None:
    headers = httpx.get(f"{site.url}/login").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_what_is_nowhere_is_said_so(site: Site) -> None:
    answer = httpx.get(f"{site.url}/nowhere")
    assert (answer.status_code, "nothing at /nowhere" in answer.json()["error"]) == (404, True)
    wrong = httpx.get(f"{site.url}/predict")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json()["error"].startswith("/predict takes POST, not GET")
    page = httpx.get(f"{site.url}/<i>nowhere", headers={"accept": "text/html,*/*"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "no page <code>/&lt;i&gt;nowhere</code>" in page.text
    assert '<a href="/">' in page.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_every_page_can_be_used_by_everybody(page: Page, scheme: str, person: Come, axe: str) -> None:
    shown = person(color_scheme=scheme).open(page.path)
    assert shown.get_by_role("link", name=page.title).get_attribute("aria-current") == "page"
    assert serious(shown, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_of_the_routes_needs_nobody_else_and_no_script(scheme: str, person: Come, axe: str) -> None:
    page = person("predict").open("/docs")
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(14, 18, 24)") == (scheme == "dark"), "its own style is let in"
    assert page.get_by_role("heading", name="POST /feedback").count() == 1
    assert serious(page, axe) == []


def test_light_or_dark_is_remembered(person: Come) -> None:
    page = person(color_scheme="light").open("/")
    button = page.get_by_role("button", name="Light or dark")
    button.click()
    page.wait_for_selector("body.body--dark")
    page.wait_for_function("document.cookie.includes('pellucid_theme=dark')")
    page.reload()
    page.wait_for_selector("body.body--dark")
