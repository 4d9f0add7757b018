"""`platform_data`: what one platform alone has, checked by its own model, handed to its machine, reported where
unused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.openapi import openapi_document
from orchestrator.registry import PLATFORMS
from statemachines.target import TargetRequest
from storage.targets import get_target
from tests.api.bench import an_order, bench

OPEN = openapi_document()


class Gift(BaseModel):
    """What goes with the goods."""

    model_config = ConfigDict(extra="forbid", strict=True)

    note: Annotated[str, Field(max_length=20, description="Printed on the card")]
    wraps: Annotated[int, Field(ge=0, description="How many boxes are wrapped")] = 0


@pytest.fixture
def giving(monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform of the bench's shops takes gifts."""
    monkeypatch.setitem(PLATFORMS._loaded, "selldone", replace(PLATFORMS["selldone"], target_fields=Gift))


async def kept(b: Any, target: str) -> Any:
    found = await b.store.read(lambda tx: get_target(tx, target))
    assert found is not None
    return TargetRequest.from_json(found.request).platform_data


async def test_a_platform_that_takes_none_says_that_it_is_unused() -> None:
    async with bench(an_order()) as b:
        got = await b.submit("accepted", platform_data={"anything": [1, None]})
        assert got.status == 202
        assert got.json()["unused"] == ["platform_data"]
        assert await kept(b, got.json()["id"]) == {"anything": [1, None]}


@pytest.mark.usefixtures("giving")
async def test_what_the_platform_takes_reaches_the_machine_as_it_was_given() -> None:
    async with bench(an_order()) as b:
        got = await b.submit("accepted", platform_data={"note": "for you"})
        assert got.status == 202
        assert await kept(b, got.json()["id"]) == {"note": "for you"}
        assert (await b.submit("preparing", platform_data=None)).status == 202


@pytest.mark.usefixtures("giving")
@pytest.mark.parametrize(
    ("data", "paths"),
    [
        ({}, ["platform_data.note"]),
        ({"note": "x" * 21, "wraps": -1}, ["platform_data.note", "platform_data.wraps"]),
        ({"note": "x", "bow": True}, ["platform_data.bow"]),
        ([], ["platform_data"]),
    ],
)
async def test_what_it_does_not_take_is_refused_with_its_place(data: Any, paths: list[str]) -> None:
    async with bench(an_order()) as b:
        got = await b.submit("accepted", platform_data=data)
        assert (got.status, got.slug) == (422, "invalid-target")
        assert [each["path"] for each in got.json()["errors"]] == paths
        line = {"shop": "acme", "order": "67890", "state": "accepted", "platform_data": data}
        bulk = await b.call(
            "POST", "/v1/targets", data=json.dumps(line), headers={"Content-Type": "application/x-ndjson"}
        )
        assert json.loads(bulk.body)["problem"]["errors"] == got.json()["errors"]


def shapes(document: Any, body: str) -> list[Any]:
    found: list[Any] = document["components"]["schemas"][body]["properties"]["platform_data"]["anyOf"]
    return found


def test_the_document_describes_what_each_platform_takes(giving: None) -> None:
    document = openapi_document()
    for body in ("TargetBody", "BulkLine"):
        assert shapes(document, body) == [
            *shapes(OPEN, body),
            {"title": PLATFORMS["selldone"].title, "$ref": "#/components/schemas/Gift"},
        ]
    assert document["components"]["schemas"]["Gift"]["properties"]["note"]["description"] == "Printed on the card"
    assert "Gift" not in OPEN["components"]["schemas"]
