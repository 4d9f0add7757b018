import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from importlib.resources import files

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from orchestrator.api.dashboard import LIBRARIES, SCRIPTS, STYLES, page, page_answer
from orchestrator.decisions.problems import PROBLEM_TITLES
from orchestrator.diagrams.drawing import STYLE
from orchestrator.event_types import EVENT_TYPES
from storage.records import Situation, TargetStatus
from tests.support.skips import skip

STATIC = files("orchestrator.api") / "static"
SINKS = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc|parseHTML"
UPLOT_SHA256 = "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"
SCRIPT = "\n".join((STATIC / name).read_text("utf-8") for name in SCRIPTS)


class Outline(HTMLParser):
    """Tags with their attributes, and what stands in style and script."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        last = self.tags[-1][0] if self.tags else ""
        if last in ("style", "script") and data.strip():
            self.inside[last] = self.inside.get(last, "") + data


def outline() -> Outline:
    found = Outline()
    found.feed(page().body.decode())
    return found


async def served(_request: web.Request) -> web.Response:
    return page_answer()


@pytest.fixture
async def client() -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    app.router.add_get("/", served)
    async with TestClient(TestServer(app)) as made:
        yield made


async def test_the_page_is_one_html_answer(client: TestClient[web.Request, web.Application]) -> None:
    async with client.get("/") as response:
        body = await response.text()

    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert body.startswith("<!doctype html>")
    assert "{{" not in body.partition("<style>")[0]


async def test_the_page_has_headers_not_to_be_guessed_at_or_kept(
    client: TestClient[web.Request, web.Application],
) -> None:
    async with client.get("/") as response:
        headers = response.headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-cache"


def directives() -> dict[str, list[str]]:
    return {part.split()[0]: part.split()[1:] for part in page().policy.split(";")}


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_this_style_and_script_alone() -> None:
    found = outline()

    assert directives()["default-src"] == ["'none'"]
    assert directives()["script-src"] == [digest(found.inside["script"])]
    assert directives()["style-src"] == [digest(found.inside["style"]), digest(STYLE)]
    assert directives()["connect-src"] == ["'self'"]
    assert directives()["frame-ancestors"] == ["'none'"]
    assert directives()["require-trusted-types-for"] == ["'script'"]
    assert not re.search("unsafe|https?:|\\*", page().policy)


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for tag, attributes in outline().tags:
        for name in ("src", "href", "srcset", "action"):
            place = attributes.get(name) or ""
            assert place == "" or place.startswith(("#", "data:")), (tag, place)
    assert not re.search(r"""["'`(](https?:)?//(?!www\.w3\.org/)[a-z]""", SCRIPT)


def test_the_page_has_no_inline_handlers_or_styles() -> None:
    for tag, attributes in outline().tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag


def test_the_script_never_makes_markup_or_code_of_words() -> None:
    assert re.search(SINKS, SCRIPT) is None


def test_the_script_changes_things_in_one_way_which_sends_the_csrf_token() -> None:
    assert SCRIPT.count("fetch(") == 1
    assert re.findall(r"method:\s*[\"'`](\w+)", SCRIPT) == []
    assert re.findall(r"\.open\(\"(\w+)\"", SCRIPT) == ["GET"]
    assert re.findall(r"\bcall\(([^,]+),", SCRIPT) == ['"GET"', "method", "method"]
    assert '"X-CSRF-Token": session.csrf' in SCRIPT.partition("function send(")[2].partition("\n}")[0]
    assert "sendBeacon" not in SCRIPT


def test_the_script_keeps_no_secret() -> None:
    assert not re.search(r"localStorage|sessionStorage|document\.cookie|Authorization|token=", SCRIPT)


def test_every_field_has_a_label() -> None:
    tags = outline().tags
    labelled = {attributes.get("for") for tag, attributes in tags if tag == "label"}
    fields = {attributes.get("id") for tag, attributes in tags if tag in ("input", "select")}

    assert fields <= labelled


def test_the_script_knows_every_situation_and_event_type() -> None:
    for situation in Situation:
        assert f'"{situation.value}"' in SCRIPT
    for kind in ("imported", "updated", "payment_settled", "drifted", "blocked", "released", "held"):
        assert f'"order.{kind}"' in SCRIPT
    for status in TargetStatus:
        if status.is_end:
            assert f'"target.{status.value}"' in SCRIPT


def test_a_shops_card_counts_its_orders_in_every_situation() -> None:
    """Not by the shop's own members: `held` there says who works for the shop."""
    card = SCRIPT.partition("function shopCard(")[2].partition("\nfunction ")[0]

    assert 'SITUATIONS.filter((name) => name !== "idle")' in card
    assert "shop.by_situation?.[name]" in card


def test_an_address_without_a_page_shows_none_of_the_others() -> None:
    way = SCRIPT.partition("async function navigate(")[2].partition("\n}")[0]

    assert "let page = noSuchPage();" in way
    for name in re.findall(r'data-page="(\w+)"', (STATIC / "dashboard.html").read_text("utf-8")):
        assert f'name === "{name}" && !parts.length' in way


@pytest.mark.parametrize("problem", ["rejected", "attempts-exhausted", "unknown-state", "quarantined"])
def test_every_problem_that_blocks_has_advice(problem: str) -> None:
    assert problem in PROBLEM_TITLES
    assert re.search(rf'^  "{problem}": "[A-Z].+\.",$', SCRIPT, re.MULTILINE)


def test_machines_are_asked_for_as_the_shop_has_them() -> None:
    assert "picture(order.platform, order.state, order.shop)" in SCRIPT
    assert "&shop=${encodeURIComponent(shop)}" in SCRIPT
    assert "?format=json&shop=${encodeURIComponent(name)}" in SCRIPT


def test_all_files_of_the_page_are_used() -> None:
    kept = {entry.name for entry in STATIC.iterdir() if entry.is_file()}

    assert kept == {*SCRIPTS, "dashboard.html", "dashboard.css"}
    assert {f"uplot/{entry.name}" for entry in (STATIC / "uplot").iterdir()} == {
        *LIBRARIES,
        *(name for name in STYLES if "/" in name),
        "uplot/LICENSE",
    }


def test_libraries_are_as_their_authors_made_them_and_do_nothing_that_the_policy_forbids() -> None:
    (library,) = [(STATIC / name).read_bytes() for name in LIBRARIES]
    assert hashlib.sha256(library).hexdigest() == UPLOT_SHA256
    assert "MIT License" in (STATIC / "uplot" / "LICENSE").read_text("utf-8")
    assert re.search(SINKS, library.decode()) is None
    assert (
        re.search(r"fetch\(|XMLHttpRequest|WebSocket|sendBeacon|localStorage|document\.cookie", library.decode())
        is None
    )


def test_colours_are_given_for_light_and_dark() -> None:
    style = (STATIC / "dashboard.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\n *\}", style, re.DOTALL)
    names = re.compile(r"(--[\w-]+):")

    assert set(names.findall(light)) == set(names.findall(dark))
    assert set(re.findall(r"var\((--[\w-]+)\)", style)) <= set(names.findall(light))


async def test_a_second_request_gets_the_same_page(client: TestClient[web.Request, web.Application]) -> None:
    session: ClientSession = client.session
    url = client.make_url("/")
    async with session.get(url) as one, session.get(url) as other:
        assert await one.read() == await other.read()
        assert one.headers["Content-Security-Policy"] == other.headers["Content-Security-Policy"]


def test_the_live_feed_hears_every_type_of_event_and_lets_each_kind_be_chosen() -> None:
    listed = re.search(r"const EVENT_TYPES = \[(.*?)\];", SCRIPT, re.DOTALL)
    assert listed is not None
    assert set(re.findall(r'"([a-z._]+)"', listed[1])) == set(EVENT_TYPES)
    chosen = re.search(r'const names = \["", (.*?)\];', SCRIPT)
    assert chosen is not None
    assert set(re.findall(r'"([a-z]+\.)"', chosen[1])) == {f"{type_.partition('.')[0]}." for type_ in EVENT_TYPES}


_PAGE_IN_NODE = """
class Node {
  constructor(tag) { this.tag = tag; this.children = []; this.classList = { add() {}, toggle() {} }; }
  setAttribute() {} addEventListener() {} append(...more) { this.children.push(...more); }
  set textContent(text) { this.children = [text]; }
  text() { return this.children.map((each) => (typeof each === "string" ? each : each.text())).join(" "); }
}
globalThis.document = { createElement: (tag) => new Node(tag) };
"""


def test_a_plan_shows_between_which_states_each_step_leads() -> None:
    node = shutil.which("node") or skip("there is no Node.js", "apt-get install nodejs")
    steps = [("change_status", "Nowe", "Wysłane", "done"), ("notify", "Wysłane", "Wysłane", "next")]
    plan = [dict(zip(("step", "from", "to", "status"), step, strict=True)) for step in steps]
    target = {"id": "t", "state": "Wysłane", "status": "running", "plan": plan, "submitted_at": None}
    code = "\n".join(
        (STATIC / name).read_text("utf-8") for name in ("elements.js", "words.js", "submit.js", "order.js")
    )
    asked = f"console.log(orderTargets([{json.dumps(target)}])[1].text())"
    result = subprocess.run(
        [node, "-e", f"{_PAGE_IN_NODE}\n{code}\n{asked}"], capture_output=True, text=True, check=True
    )
    assert "Nowe change_status done Wysłane notify" in result.stdout
    assert result.stdout.count("Wysłane") == 2  # the heading, and once in the plan
