"""WooCommerce's client: where tracking goes, whose refusal it is, what the lists show, and how a shop is addressed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.platforms.failures import NotFound, OutOfSequence, Rejected, Transient
from orchestrator.sandbox.woocommerce import SandboxOptions, WooCommercePlatform
from orchestrator.testing.stage import Stage, staged
from statemachines.machine import OrderState
from statemachines.target import TargetRequest, Tracking
from tests.support.config_files import errors, loaded

PLATFORM = "woocommerce"
PARCEL = TargetRequest("shipped", tracking=Tracking("1Z A", "https://t.example/?a=1&b=2", "UPS"))
ONE_MORE = TargetRequest("shipped", tracking=PARCEL.tracking, further_tracking=(Tracking("1Z B"),))
NO_PLUGIN = {PLATFORM: SandboxOptions(has_tracking=False)}


async def track(stage: Stage, request: TargetRequest = PARCEL, **facts: Any) -> Any:
    current = OrderState("processing", "processing", "paid", facts)
    return await stage.client.perform("set_tracking", stage.order, current, request)


def beside(stage: Stage, what: str) -> list[dict[str, Any]]:
    simulated = stage.sandbox.platforms[PLATFORM]
    assert isinstance(simulated, WooCommercePlatform)
    return list(reversed(simulated.shop.beside[what, int(stage.order)]))


async def test_numbers_go_to_the_plugin_where_it_is() -> None:
    async with staged(PLATFORM) as stage:
        assert not (await track(stage)).is_found
        assert not (await track(stage, ONE_MORE)).is_found
        assert [row["tracking_number"] for row in beside(stage, "shipment-trackings")] == ["1Z A", "1Z B"]
        assert (await track(stage, ONE_MORE)).is_found


@pytest.mark.parametrize("tracking", ["plugin", "none"])
async def test_numbers_without_a_place_are_unused_with_the_reason(tracking: str) -> None:
    async with staged(PLATFORM, options={"tracking": tracking}, simulated=NO_PLUGIN) as stage:
        answer = await track(stage)
        assert answer.unused == ("tracking", "tracking.carrier")
        assert answer.reason
        assert stage.sandbox.ledger.effects(stage.order) == []


@pytest.mark.parametrize("tracking", ["note", "auto"])
@pytest.mark.parametrize("is_mail", [True, False])
async def test_numbers_go_into_a_note_once(tracking: str, is_mail: bool) -> None:
    options = {"tracking": tracking, "customer_note": is_mail}
    async with staged(PLATFORM, options=options, simulated=NO_PLUGIN) as stage:
        stage.operate("note", order=stage.order, text="about 1Z only")
        assert not (await track(stage)).is_found
        assert (await track(stage)).is_found
        (note,) = [each for each in beside(stage, "notes") if each["author"] == "fulfilld"]
        assert (note["note"], note["customer_note"]) == ("UPS 1Z A https://t.example/?a=1&b=2", is_mail)


@pytest.mark.parametrize("options", [{}, {"tracking": "note"}])
async def test_a_number_whose_answer_was_lost_is_not_sent_again(options: dict[str, str]) -> None:
    async with staged(PLATFORM, options=options) as stage:
        stage.sandbox.faults.script("drop_after", step="set_tracking")
        with pytest.raises(Transient) as lost:
            await track(stage, ONE_MORE)
        assert lost.value.is_ambiguous
        assert not (await track(stage, ONE_MORE)).is_found, "the second one was still to be sent"
        assert (await track(stage, ONE_MORE)).is_found
        assert len(beside(stage, "notes" if options else "shipment-trackings")) == 2


async def test_a_persons_change_is_not_overwritten() -> None:
    async with staged(PLATFORM) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        stage.operate("cancel", order=stage.order)
        with pytest.raises(OutOfSequence, match="is in cancelled"):
            await stage.client.perform("change_status", stage.order, current, TargetRequest("delivered"))
        assert stage.sandbox.ledger.effects(stage.order) == []


async def test_a_change_of_an_order_that_is_not_there_is_not_found() -> None:
    body = b'{"code":"woocommerce_rest_shop_order_invalid_id","message":"Invalid ID.","data":{"status":400}}'
    async with staged(PLATFORM) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        stage.sandbox.faults.script_answer(400, body, step="change_status")
        with pytest.raises(NotFound):
            await stage.client.perform("change_status", stage.order, current, TargetRequest("delivered"))


@pytest.mark.parametrize("step", ["read", "change_status"])
async def test_no_route_says_nothing_of_an_order(step: str) -> None:
    body = b'{"code":"rest_no_route","message":"No route was found.","data":{"status":404}}'
    async with staged(PLATFORM) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        stage.sandbox.faults.script_answer(404, body, step=step, times=3)
        with pytest.raises((Transient, Rejected)) as refused:
            await stage.client.perform("change_status", stage.order, current, TargetRequest("delivered"))
        assert not isinstance(refused.value, NotFound)


async def test_a_change_within_the_second_of_the_position_is_listed() -> None:
    async with staged(PLATFORM, lookback_seconds=0) as stage:
        _, position = await stage.list_pages()
        stage.operate("edit", order=stage.order, receiver_name="Bob B")
        found = await stage.snapshots(position)
        assert found[stage.order].content["ship_to"]["name"] == "Bob B"


async def test_the_trash_is_listed_and_brings_nothing_new() -> None:
    async with staged(PLATFORM) as stage:
        _, position = await stage.list_pages()
        stage.operate("trash", order=stage.order)
        pages, _ = await stage.list_pages(position)
        assert {snapshot.state for page in pages for snapshot in page.orders if snapshot.id == stage.order} == {"trash"}
        assert stage.order in {order for page in pages for order in page.skip_if_new}
        stage.operate("restore", order=stage.order)
        assert (await stage.client.read(stage.order)).state == "processing"


@pytest.mark.parametrize(("status", "is_released"), [("on-hold", True), ("pending", True), ("failed", False)])
async def test_which_unpaid_orders_are_imported(status: str, is_released: bool) -> None:
    async with staged(PLATFORM) as stage:
        stage.operate("move", order=stage.order, state=status)
        found = await stage.client.read(stage.order)
        assert (found.state, found.is_released) == (status, is_released)


def shop(**keys: Any) -> dict[str, Any]:
    credentials = {"consumer_key": "ck_1234567", "consumer_secret": "cs_1234567"}
    return {"platform": PLATFORM, "base_url": "https://shop.example", "credentials": credentials} | keys


def test_the_address_is_required_and_https(tmp_path: Path) -> None:
    bare = {key: value for key, value in shop().items() if key != "base_url"}
    (line,) = errors(tmp_path, {"shops": {"woo": bare}})
    assert line.startswith("shops.woo.base_url: is required")
    (line,) = errors(tmp_path, {"shops": {"woo": shop(base_url="http://shop.example")}})
    assert line.startswith("shops.woo.base_url: must be https")
    assert errors(tmp_path, {"shops": {"woo": shop(base_url="http://127.0.0.1:8080/shop")}}) == []


def test_sites_in_folders_of_one_host_are_several_shops(tmp_path: Path) -> None:
    first, second = shop(base_url="https://h.example/a"), shop(base_url="https://h.example/b/")
    config = loaded(tmp_path, {"shops": {"a": first, "b": second}})
    assert config.shops["a"].identity() != config.shops["b"].identity()
    (line,) = errors(tmp_path, {"shops": {"a": first, "b": shop(base_url="https://H.example:443/a/")}})
    assert line.startswith("shops.b: is the same account as shops.a")


@pytest.mark.parametrize("spelling", ["https://H.example/a", "https://h.example:443/a", "HTTPS://h.EXAMPLE/a/"])
def test_a_shop_stays_itself_however_its_address_is_spelt(tmp_path: Path, spelling: str) -> None:
    one, other = (
        loaded(tmp_path, {"shops": {"a": shop(base_url=url)}}).shops["a"].identity()
        for url in ("https://h.example/a", spelling)
    )
    assert one == other
    elsewhere = loaded(tmp_path, {"shops": {"a": shop(base_url="https://h.example:444/a")}}).shops["a"]
    assert elsewhere.identity() != one


def test_a_status_may_be_written_as_the_database_has_it(tmp_path: Path) -> None:
    config = loaded(tmp_path, {"shops": {"woo": shop(statuses={"shipped": "wc-sent"})}})
    assert config.shops["woo"].machine_options()["statuses"]["shipped"] == "sent"
    (line,) = errors(tmp_path, {"shops": {"woo": shop(statuses={"shipped": "Sent today"})}})
    assert "must be a status as WooCommerce's API has it" in line
    assert "cs_1234567" not in json.dumps(errors(tmp_path, {"shops": {"woo": shop(tracking="post")}}))
