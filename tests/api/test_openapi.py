"""The OpenAPI document is valid, complete, and true: fuzzing from it finds no answer that it does not name."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from subprocess import PIPE
from typing import Any

import pytest
import schemathesis
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, Phase, given, seed, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from orchestrator.api.openapi import OWN_PROBLEMS, openapi_document
from orchestrator.api.problems import STATUS_BY_SLUG
from orchestrator.api.routes import ROUTES
from orchestrator.api.routes.problems import BODY, EVERYWHERE
from orchestrator.decisions.problems import REFUSAL_TITLES
from storage.records import Problem, Situation
from storage.rejected import add_rejected
from tests.api.bench import TOKEN, an_order, bench
from tests.support.ports import free_port

DOCUMENT = openapi_document()
_EXAMPLES = 20
_MOST_WAIT_SECONDS = 0.02
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)


def test_the_document_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    assert DOCUMENT["openapi"].startswith("3.1")


def test_the_document_is_the_same_from_start_to_start() -> None:
    program = "from orchestrator.api.openapi import openapi_text; print(openapi_text().decode())"
    written = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": hash_seed}, stdout=PIPE, check=True
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(written) == 1


async def test_the_document_is_served() -> None:
    async with bench() as b:
        got = await b.get("/openapi.json")
        assert got.headers["Content-Type"] == "application/json"
        assert got.json() == json.loads(json.dumps(DOCUMENT))


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [route.name for route in ROUTES]
    assert len(set(names)) == len(names)


def test_every_problem_is_an_answer_of_some_call() -> None:
    reported = {slug for route in ROUTES for slug in route.slugs} | set(EVERYWHERE) | set(BODY)
    assert set(REFUSAL_TITLES) <= reported
    assert set(STATUS_BY_SLUG) - reported == {"internal-error"}  # about our own mistakes


def test_nothing_is_left_undescribed() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for operation in operations.values():
            assert operation["summary"]
            named = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))
            assert all(parameter["description"] for parameter in operation.get("parameters", ()))
            assert {"200", "400", "401", "404", "405", "422"} <= set(operation["responses"])
            assert not any(status.startswith("5") and status != "503" for status in operation["responses"])


def test_what_helps_in_a_problem_need_not_be_there() -> None:
    for status in sorted(set(STATUS_BY_SLUG.values()) - {500}):  # about our own mistakes
        schema = DOCUMENT["components"]["schemas"][f"Problem{status}"]
        assert set(schema["required"]) == {"type", "title", "status", "detail"}
        assert {"allowed", "errors", "reason"} < set(schema["properties"])


def test_a_problem_has_the_schema_of_its_status_alone_for_generators_to_name() -> None:
    for operations in DOCUMENT["paths"].values():
        for operation in operations.values():
            problems = {s: r for s, r in operation["responses"].items() if s >= "400"}
            for status, response in problems.items():
                assert response["content"] == {
                    "application/problem+json": {"schema": {"$ref": f"#/components/schemas/Problem{status}"}}
                }
                slugs = DOCUMENT["components"]["schemas"][f"Problem{status}"]["properties"]["type"]["enum"]
                assert set(response[OWN_PROBLEMS]) <= set(slugs)
                assert all(f"`{slug}`" in response["description"] for slug in response[OWN_PROBLEMS])


async def test_a_target_that_was_waited_for_is_answered_as_documented() -> None:
    responses = DOCUMENT["paths"]["/v1/shops/{shop}/orders/{id}/targets"]["post"]["responses"]
    [waited, previewed] = responses["200"]["content"]["application/json"]["schema"]["anyOf"]
    assert (waited, previewed) == ({"$ref": "#/components/schemas/Target"}, {"$ref": "#/components/schemas/Preview"})
    required = {name: set(DOCUMENT["components"]["schemas"][name]["required"]) for name in ("Target", "Preview")}
    async with bench(an_order("67890")) as b:
        path = "/v1/shops/acme/orders/67890/targets"
        reached = (await b.post(f"{path}?wait=1", {"state": "new"})).json()
        plan = (await b.post(f"{path}?dry_run=true", {"state": "preparing"})).json()
    assert set(reached) == required["Target"]
    assert set(plan) == required["Preview"]


def test_no_schema_has_the_name_of_a_member_of_its_own() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    alike = [name for name, schema in schemas.items() if name.lower() in schema.get("properties", ())]
    assert alike == [], "a class's variable and its member's are one in what generators write"


def test_members_that_may_be_absent_have_no_default_that_generators_would_send() -> None:
    body = DOCUMENT["components"]["schemas"]["TargetBody"]
    assert body["required"] == ["state"]
    assert not any("default" in member for member in body["properties"].values())


def test_a_body_that_is_refused_is_documented_where_none_is_taken() -> None:
    refresh = DOCUMENT["paths"]["/v1/shops/{shop}/orders/{id}/refresh"]["post"]
    assert "requestBody" not in refresh
    assert {"413", "415"} <= set(refresh["responses"])
    assert "malformed-json" in refresh["responses"]["400"]["description"]
    assert not {"413", "415"} & set(DOCUMENT["paths"]["/v1/orders"]["get"]["responses"])


def test_bounds_are_in_the_document() -> None:
    [limit] = [p for p in DOCUMENT["paths"]["/v1/events"]["get"]["parameters"] if p["name"] == "limit"]
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    [wait] = [p for p in DOCUMENT["paths"]["/v1/events"]["get"]["parameters"] if p["name"] == "wait"]
    assert wait["schema"]["maximum"] == 300


# -- fuzzing -----------------------------------------------------------------------------------------------------------


@schemathesis.serializer("application/x-ndjson")
def _lines(_context: Any, value: Any) -> Any:
    """Text goes out as it was made up: most of it is no NDJSON, which is the point."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A daemon in another thread, with orders in several situations."""
    port = free_port()
    blocked = Problem("rejected", "The platform refused the step", "no", "prepare", 1_772_000_000_000)
    orders = [
        *(an_order(str(number)) for number in range(5)),
        an_order("67890", situation=Situation.BLOCKED, problem=blocked, payment="unknown"),
    ]
    with start_blocking_portal() as portal:
        served = bench(*orders, tcp={"port": port, "token": TOKEN})
        with portal.wrap_async_context_manager(served) as b:
            for order in ("1", "67890"):
                portal.call(b.submit, "preparing", order)
            portal.call(b.emit, "order.imported")
            for number in range(3):
                payload = b"x%d" % number
                portal.call(
                    b.store.write,
                    lambda tx, payload=payload: add_rejected(tx, "acme", "poll", "67890", "no JSON", payload, 5),
                )
            yield f"http://127.0.0.1:{port}"


def _operations() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schemathesis.openapi.from_dict(json.loads(json.dumps(DOCUMENT)))
        operations = []
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operations.append(found.ok())
        return operations


def _aim(case: Any) -> None:
    """Cuts waits short, and has every other call meet a shop and an order that are there: else all would be 404."""
    if "wait" in case.query:
        with contextlib.suppress(TypeError, ValueError):
            case.query["wait"] = min(float(case.query["wait"]), _MOST_WAIT_SECONDS)
    for name, known in (("shop", "acme"), ("id", "67890")):
        if len(str(case.path_parameters.get(name, ""))) % 2:
            case.path_parameters[name] = known


def _ways() -> Iterator[tuple[Any, GenerationMode]]:
    """Every operation as it should be called, and those that take anything beside a path as they should not."""
    for operation in _operations():
        yield operation, GenerationMode.POSITIVE
        if list(operation.query) or list(operation.body):
            yield operation, GenerationMode.NEGATIVE


@pytest.mark.parametrize(
    ("operation", "mode"), list(_ways()), ids=lambda value: getattr(value, "label", getattr(value, "value", None))
)
@pytest.mark.filterwarnings("ignore")
def test_no_answer_is_given_that_the_document_does_not_name(operation: Any, mode: GenerationMode, address: str) -> None:
    load_all_checks()
    checks = [CHECKS.get_one(name) for name in _CHECKS]

    @seed(20_260_301)
    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=False,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def fuzz(case: Any) -> None:
        _aim(case)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        response = case.call_and_validate(base_url=address, headers=headers, checks=checks, timeout=60)
        if response.headers.get("content-type") == ["application/problem+json"]:
            known = operation.definition.raw["responses"][str(response.status_code)][OWN_PROBLEMS]
            assert response.json()["type"] in known

    fuzz()
