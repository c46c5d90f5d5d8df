"""Try it: from a picture to a changed prediction, and everything that is no picture."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Dialog, Locator, Page, expect
from prometheus_client.parser import text_string_to_metric_families

from ..conftest import PATIENCE, picture_bytes, until
from .conftest import Person, Site, serious

Come = Callable[..., Person]
expect.set_options(timeout=PATIENCE * 1000)
ANSWERED = (
    "pellucid_predictions_total",
    "pellucid_prediction_confidence_ratio_count",
    "pellucid_prediction_novelty_ratio_count",
)
FIELD = "input[type=file]:not([capture])"
_DROP = """({kind, files}) => {
    const data = new DataTransfer();
    for (const {name, type, size} of files) {
        const file = new File(['x'], name, {type});
        if (size) Object.defineProperty(file, 'size', {value: size});
        data.items.add(file);
    }
    const list = files.some((file) => file.size) ? Object.defineProperty(data, 'files', {value: [...data.files].map(
        (file, at) => files[at].size ? Object.defineProperty(file, 'size', {value: files[at].size}) : file)}) : data;
    const event = new Event(kind, {bubbles: true, cancelable: true});
    Object.defineProperty(event, kind === 'drop' ? 'dataTransfer' : 'clipboardData', {value: list});
    document.querySelector('.tries').dispatchEvent(event);
}"""


def file(name: str, data: bytes) -> Any:
    return {"name": name, "mimeType": "image/png", "buffer": data}


def offer(page: Page, *files: Any) -> None:
    """Chooses files, and waits until all were sent."""
    page.set_input_files(FIELD, list(files))
    expect(page.locator(".tries .outcome")).to_contain_text(re.compile("answered|not"))


def card_of(page: Page, name: str) -> Locator:
    """The answer for the file of that name; pages begin with earlier ones."""
    return page.locator(".tried", has_text=name)


def test_from_a_picture_to_a_changed_prediction(site: Site, person: Come, axe: str) -> None:
    data = picture_bytes("eel", 501)  # blue, which is neither cat nor dog
    before = site.predict(data)
    page = person("ann", reduced_motion="reduce").open("/try")
    offer(page, file("blue.png", data))
    card = card_of(page, "blue.png")
    expect(card.get_by_role("heading")).to_have_text(before["label"])
    expect(card.locator(".nearest img")).to_have_count(4)
    expect(card).to_contain_text("pets@1")
    other = "dog" if before["label"] == "cat" else "cat"
    card.get_by_role("button", name="Wrong").click()
    card.get_by_role("button", name=other, exact=True).click()
    expect(card).to_contain_text(f"You said {other}. Learnt at once with weight")
    expect(card).to_contain_text("asked again, the model answers")
    page.mouse.move(0, 0)
    assert serious(page, axe) == []
    after = site.predict(data)
    assert after["probabilities"][other] > before["probabilities"][other]
    assert after["ledger"] > before["ledger"]
    card.get_by_role("button", name="Take it back").click()
    expect(card).to_contain_text("Taken back")
    assert site.predict(data)["probabilities"][other] == pytest.approx(before["probabilities"][other], abs=1e-6)


def test_what_is_unlike_the_training_says_so_first_and_is_not_called_sure(site: Site, person: Come) -> None:
    known, strange = picture_bytes("cat", 504), picture_bytes("eel", 504)
    assert (site.predict(known)["novelty"] < 0.95, site.predict(strange)["novelty"] >= 0.95) == (True, True)
    page = person("admin").open("/try")
    offer(page, file("known.png", known), file("strange.png", strange))
    card = card_of(page, "strange.png")
    expect(card.locator(".stack > *").first).to_contain_text(re.compile("^Unlike .* of the training pictures"))
    expect(card).not_to_contain_text("ules out")
    expect(card.get_by_role("meter")).to_have_count(0)
    meter = card_of(page, "known.png").get_by_role("meter")
    expect(meter).to_have_attribute("aria-label", re.compile(r"Sure: (over )?[\d.]+\s%"))
    expect(card_of(page, "known.png")).not_to_contain_text("Unlike")


def counted(site: Site, name: str, **labels: str) -> float:
    """The sum of the server's metric over all series with these labels."""
    found = [
        item.value
        for family in text_string_to_metric_families(site.ask("GET", "/metrics").text)
        for item in family.samples
        if item.name == name and labels.items() <= item.labels.items()
    ]
    return sum(found)


def test_right_is_one_click_and_found_again(site: Site, person: Come) -> None:
    somebody = person("ann")
    page = somebody.open("/try")
    before = [counted(site, name) for name in ANSWERED]
    timed = counted(site, "pellucid_http_request_seconds_count", route="/ui/try")
    offer(page, file("mine.png", picture_bytes("cat", 502)))
    assert [counted(site, name) for name in ANSWERED] == [1 + count for count in before]  # as one over the API
    assert counted(site, "pellucid_http_request_seconds_count", route="/ui/try") == 1 + timed
    card_of(page, "mine.png").get_by_role("button", name="Right").click()
    expect(card_of(page, "mine.png")).to_contain_text("You said cat")
    again = somebody.open("/try")  # as after the server went away, or on another day
    expect(again.locator(".tried").first).to_contain_text("You have said cat")


def test_a_new_class_takes_an_act_of_its_own_and_is_only_text(site: Site, person: Come) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    page = person("ann").open("/try")
    offer(page, file(f"{hostile}.png", picture_bytes("eel", 503)))
    card = card_of(page, f"{hostile}.png")
    expect(card).to_contain_text(f"{hostile}.png")
    card.get_by_role("button", name="Wrong").click()
    expect(card.get_by_role("button", name="Add this class")).to_be_disabled()
    field = card.get_by_label("A class that nobody has used yet")
    expect(card).to_contain_text("At most 60 characters.")
    field.fill(300 * "x")
    expect(card).to_contain_text("That is 300 characters long; a name has 60 at most.")
    expect(card.get_by_role("button", name="Add this class")).to_be_disabled()
    field.fill(hostile)
    card.get_by_role("button", name="Add this class").click()
    expect(card).to_contain_text(f"You said {hostile}.")
    card.get_by_role("button", name="Take it back").click()
    expect(card).to_contain_text("Taken back")


def test_pictures_are_dropped_and_pasted_and_what_is_none_is_said(site: Site, person: Come) -> None:
    somebody = person("predict")
    somebody.forgiven = ("415", "Failed to load resource")
    page = somebody.open("/try")
    files = [
        {"name": "notes.txt", "type": "text/plain"},
        {"name": "film.png", "type": "image/png", "size": 2 * 2**30},
        {"name": "torn.png", "type": "image/png"},  # a letter, which only the server can tell
    ]
    page.evaluate(_DROP, {"kind": "drop", "files": files})
    told = page.get_by_role("alert", name="Not answered")
    expect(told).to_contain_text("notes.txt: it is not a picture; pictures are JPEG, PNG")
    expect(told).to_contain_text("film.png: it has 2048 MB, at most")
    expect(told).to_contain_text("torn.png: not an image: it has another content than a JPEG")
    expect(page.locator(".tries .outcome")).to_have_text("3 could not be answered")
    page.evaluate(_DROP, {"kind": "paste", "files": [{"name": "pasted.txt", "type": "text/plain"}]})
    expect(told).to_have_text(re.compile("^pasted.txt: it is not a picture"))  # the old ones are gone
    assert page.locator(".tried").count() == 0


def test_ten_thousand_files_are_too_many_and_the_first_are_sent(site: Site, person: Come) -> None:
    page = person("predict").open("/try")
    page.route("**/ui/try", lambda route: route.fulfill(status=200, json={"id": "none"}))
    files = [{"name": f"{number}.png", "type": "image/png"} for number in range(10_000)]
    page.evaluate(_DROP, {"kind": "drop", "files": files})
    told = page.get_by_role("alert", name="Not answered")
    expect(told).to_contain_text("10000 files: at most 100 are taken at a time: the first 100 are sent")
    expect(page.locator(".tries .outcome")).to_have_text("100 pictures answered")


def test_what_cannot_be_sent_now_is_kept(site: Site, person: Come) -> None:
    somebody = person("predict")
    somebody.forgiven = ("Failed to load resource", "503")
    page = somebody.open("/try")
    page.route("**/ui/try", lambda route: route.abort())
    page.set_input_files(FIELD, [file(f"{number}.png", picture_bytes("dog", 510 + number)) for number in range(3)])
    again = page.get_by_role("button", name="Send all 3 again")
    expect(again).to_be_visible()
    expect(page.get_by_role("alert", name="Not answered")).to_contain_text("0.png: the server does not answer")
    page.unroute("**/ui/try")
    again.click()
    expect(page.locator(".tries .outcome")).to_have_text("3 pictures answered")
    expect(page.locator(".tried")).to_have_count(3)


def test_the_browser_asks_before_unsent_pictures_are_left_and_the_page_names_them_later(
    site: Site, person: Come
) -> None:
    page = person("admin").open("/try")
    page.route("**/ui/try", lambda route: None)  # as of a server that is slow
    asked: list[str] = []

    def decide(dialog: Dialog) -> None:
        asked.append(dialog.type)
        if len(asked) == 1:
            dialog.dismiss()
        else:
            dialog.accept()

    page.on("dialog", decide)
    page.locator("h1").click()  # browsers ask only those who have done something
    page.set_input_files(FIELD, [file(f"{number}.png", picture_bytes("dog", 560 + number)) for number in range(5)])
    expect(page.locator(".tries")).to_contain_text("1 of 5")
    page.get_by_role("link", name="Models").click(no_wait_after=True)
    until(lambda: page.evaluate("1") == 1 and asked == ["beforeunload"])
    expect(page.locator(".tries")).to_contain_text("1 of 5")
    page.get_by_role("link", name="Models").click()
    page.wait_for_url("**/models")
    assert asked == ["beforeunload", "beforeunload"]
    page.goto(f"{site.url}/try")
    outcome = page.locator(".tries .outcome")
    expect(outcome).to_contain_text("5 pictures were not answered, because this page was left: 0.png, 1.png, 2.png and")
    page.unroute("**/ui/try")
    offer(page, file("next.png", picture_bytes("dog", 570)))
    expect(outcome).to_have_text("1 picture answered")
    page.goto(f"{site.url}/models")  # where all is answered nobody is asked
    assert len(asked) == 2


def test_older_answers_come_when_they_are_asked_for(site: Site, person: Come) -> None:
    for number in range(8):
        answer = site.ask(
            "POST", "/predict", token="bob", content=picture_bytes("cat", 580 + number),
            headers={"Content-Type": "image/png"},
        )  # fmt: skip
        assert answer.status_code == 200
    page = person("bob").open("/try")
    expect(page.locator(".tried")).to_have_count(6)
    first = page.locator(".tried").first.locator("img").first.get_attribute("src")
    page.get_by_role("button", name="Show older answers").click()
    expect(page.locator(".tried")).to_have_count(8)
    expect(page.get_by_role("button", name="Show older answers")).to_have_count(0)
    assert page.locator(".tried").first.locator("img").first.get_attribute("src") == first


def test_who_may_not_say_what_is_right_sees_why(site: Site, person: Come) -> None:
    page = person("predict").open("/try")
    offer(page, file("a.png", picture_bytes("cat", 520)))
    card = card_of(page, "a.png")
    expect(card.get_by_role("button", name="Right")).to_be_disabled()
    expect(card).to_contain_text("The token 'predict' may not say what is right; wanted is the role feedback.")


def test_an_expired_session_says_so_and_keeps_the_picture(site: Site, person: Come) -> None:
    somebody = person("ann")
    somebody.forgiven = ("401", "Failed to load resource")
    page = somebody.open("/try")
    somebody.context.clear_cookies()
    page.set_input_files(FIELD, file("a.png", picture_bytes("cat", 530)))
    expect(page.get_by_role("alert", name="Not answered")).to_contain_text("your session is over; log in again")
    somebody.log_in("ann")
    page.get_by_role("button", name="Send it again").click()
    expect(card_of(page, "a.png")).to_contain_text("a.png")


def test_only_this_servers_pages_and_people_may_send(site: Site, person: Come) -> None:
    (cookie,) = [item for item in person("predict").context.cookies() if item["name"] == "pellucid_session"]
    cookies = {"pellucid_session": cookie["value"]}
    options: dict[str, Any] = {"content": picture_bytes("cat", 540), "headers": {"Content-Type": "image/png"}}
    assert httpx.post(f"{site.url}/ui/try", **options).status_code == 401
    options["headers"]["Origin"] = "http://evil.example"
    answer = httpx.post(f"{site.url}/ui/try", cookies=cookies, **options)
    assert (answer.status_code, "another site" in answer.json()["error"]) == (403, True)
    options["headers"]["Origin"] = site.url
    assert httpx.post(f"{site.url}/ui/try", cookies=cookies, **options).status_code == 200
    connection = http.client.HTTPConnection(site.url.removeprefix("http://"), timeout=PATIENCE)
    connection.putrequest("POST", "/ui/try")
    sent = {"Cookie": f"pellucid_session={cookie['value']}", "Content-Type": "image/png", "Content-Length": str(2**31)}
    for name, value in sent.items():
        connection.putheader(name, value)
    connection.endheaders()
    refused = connection.getresponse()
    assert (refused.status, b"send fewer or smaller images" in refused.read()) == (413, True)
    connection.close()
