"""Our GraphQL documents against Shopify's real schema, and our reading of Shopify's answers against samples."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema, parse, print_ast, validate
from graphql.execution.values import get_variable_values
from graphql.language import OperationDefinitionNode
from graphql.validation import NoDeprecatedCustomRule

from orchestrator.platforms import shopify
from orchestrator.platforms.failures import AccessDenied, NotFound, OutOfSequence, Rejected, Transient
from orchestrator.platforms.shopify.graphql import (
    SINCE,
    document,
    document_names,
    failure_of,
    refusal_of,
    reported_points,
    throttle_seconds,
)
from orchestrator.platforms.shopify.options import PROGRESS_SINCE
from orchestrator.platforms.shopify.subscriptions import addresses
from orchestrator.platforms.shopify.webhooks import PROGRESS_TOPICS, topic_enum
from orchestrator.sandbox.shopify import selection as shopify_selection
from orchestrator.testing.stage import staged
from statemachines.target import TargetRequest, Tracking
from tests.platforms.shopify.cost import cost_of
from tests.platforms.shopify.schema import VERSIONS, admin_schema

FOLDER = Path(shopify.__file__).parent / "documents"
_SAMPLES = Path(__file__).parents[2] / "samples" / "shopify"


def sample(name: str) -> Any:
    return json.loads((_SAMPLES / f"{name}.json").read_text())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", document_names())
def test_every_document_is_valid_for_every_schema_that_it_is_sent_to(name: str, version: str) -> None:
    faults = validate(admin_schema(version), parse(document(name)))
    assert bool(faults) is (version < SINCE.get(name, version)), faults


def test_only_reported_progress_is_younger_than_the_versions_that_are_warned_of() -> None:
    assert {since for since in SINCE.values() if since <= VERSIONS[0]} == {PROGRESS_SINCE} == {VERSIONS[0]}


def test_invalid_one_of_inputs_are_found_out() -> None:
    """graphql-core below 3.3 lets them pass, and our documents would be held against nothing then."""
    schema = build_schema("input Choice @oneOf { a: Int, b: Int } type Query { field(choice: Choice): Int }")
    assert validate(schema, parse("{ field(choice: {a: 1, b: 2}) }"))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_topic_that_a_version_is_asked_for_is_in_its_enum(version: str) -> None:
    topics = admin_schema(version).type_map["WebhookSubscriptionTopic"].values  # type: ignore[attr-defined]
    assert {topic_enum(topic) for topic in addresses("https://hooks.example", version)} <= set(topics)
    assert set(PROGRESS_TOPICS) <= set(addresses("https://hooks.example", version))


def test_an_older_version_is_not_asked_for_topics_that_it_does_not_have() -> None:
    assert not set(PROGRESS_TOPICS) & set(addresses("https://hooks.example", "2026-01"))


def test_a_document_with_a_mistake_is_found_out() -> None:
    assert validate(admin_schema(), parse(document("job").replace("done", "finished")))


@pytest.mark.parametrize("name", document_names())
def test_a_document_selects_what_its_files_do_as_fragments(name: str) -> None:
    """The type behind a fragment's `on` would be checked nowhere, for a document is sent without fragments."""
    texts = {each.stem: each.read_text() for each in FOLDER.glob("fragments/*.graphql")}
    names, text = set[str](), (FOLDER / f"{name}.graphql").read_text()
    while found := set(re.findall(r"\.\.\.(\w+)", text)) - names:
        names |= found
        text += "".join(texts[each] for each in sorted(found))
    version = SINCE.get(name, VERSIONS[0])
    assert validate(admin_schema(version), parse(text)) == []
    assert cost_of(text, admin_schema(version), {"first": 250}) == cost_of(
        document(name), admin_schema(version), {"first": 250}
    )


def test_every_fragment_serves_more_than_one_place() -> None:
    texts = "".join(each.read_text() for each in FOLDER.rglob("*.graphql"))
    for fragment in FOLDER.glob("fragments/*.graphql"):
        assert len(re.findall(rf"\.\.\.{fragment.stem}\b", texts)) > 1, fragment.stem


@pytest.mark.parametrize("name", document_names())
def test_no_document_asks_for_what_is_deprecated(name: str) -> None:
    assert validate(admin_schema(), parse(document(name)), [NoDeprecatedCustomRule]) == []


def faults_of(name: str, sent: dict[str, Any]) -> list[Any]:
    """What the real schema has against the variables that go with a document."""
    (operation,) = parse(document(name)).definitions
    assert isinstance(operation, OperationDefinitionNode)
    found = get_variable_values(admin_schema(), operation.variable_definitions or (), sent)
    return found if isinstance(found, list) else []


async def test_every_variable_that_is_sent_is_valid_for_the_real_schema() -> None:
    async with staged("shopify") as stage:
        tracking = Tracking("1Z", "https://example.com/1Z", "UPS")
        link = TargetRequest("shipped", tracking=Tracking(url="https://example.com/2Z"))
        shipped = TargetRequest("shipped", tracking=tracking, notify_customer=True)
        whole, _, other = stage.sandbox.shopify.order_ids()
        for order, step, request in (
            (whole, "report_progress", TargetRequest("preparing")),
            (whole, "fulfill", shipped),
            (whole, "update_tracking", link),
            (whole, "mark_delivered", TargetRequest("delivered")),
            (other, "cancel", TargetRequest("cancelled", reason="customer")),
        ):
            await stage.client.perform(step, order, (await stage.client.read(order)).order_state(), request)
        await stage.list_pages()
        calls = {call.step: call.sent for call in stage.sandbox.ledger.calls() if call.step != "token"}
    named = {"read": "order", "list": "orders", "cancel": "cancel_with_result"}
    assert {"fulfill", "update_tracking", "cancel", "job", "read", "list"} <= set(calls)
    for step, sent in calls.items():
        assert faults_of(named.get(step, step), sent) == [], step


def test_a_variable_with_a_mistake_is_found_out() -> None:
    assert faults_of("update_tracking", {"id": "gid://shopify/Fulfillment/1", "tracking": {"code": "1Z"}})


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("order_lines", ("lineItems",)),
        ("order_shipping_lines", ("shippingLines",)),
        ("order_discounts", ("discountApplications",)),
        ("order_fulfillment_orders", ("fulfillmentOrders",)),
        ("fulfillment_order_lines", ("fulfillmentOrders", "nodes", "lineItems")),
        ("fulfillment_lines", ("fulfillments", "fulfillmentLineItems")),
        ("order_returns", ("returns",)),
        ("return_lines", ("returns", "nodes", "returnLineItems")),
        ("return_exchanges", ("returns", "nodes", "exchangeLineItems")),
    ],
)
def test_a_further_page_asks_for_just_what_the_first_one_does(name: str, path: tuple[str, ...]) -> None:
    def field_of(node: Any, wanted: str) -> Any:
        return next(each for each in node.selection_set.selections if each.name.value == wanted)

    first = field_of(parse(document("order")).definitions[0], "order")
    for step in path:
        first = field_of(first, step)
    (operation,) = parse(document(name)).definitions
    page = field_of(operation.selection_set.selections[0], path[-1])  # type: ignore[attr-defined]
    assert print_ast(page.selection_set) == print_ast(first.selection_set)
    asked = {each.name.value: print_ast(each.value) for each in page.arguments}
    assert asked == {**{each.name.value: print_ast(each.value) for each in first.arguments}, "after": "$after"}


@pytest.mark.parametrize("name", document_names())
def test_the_simulated_platform_reads_the_same_fields_as_a_graphql_library(name: str) -> None:
    def names(node: Any) -> list[Any]:
        chosen = node.selection_set.selections if node.selection_set else ()
        return [(each.name.value if hasattr(each, "name") else "...", names(each)) for each in chosen]

    def own(fields: tuple[shopify_selection.Field, ...]) -> list[Any]:
        return [(each.name, own(each.fields)) for each in fields]

    (operation,) = parse(document(name)).definitions
    everything = dict.fromkeys(("customer", "account", "goods", "terms", "returns", "number"), True)
    read = shopify_selection.parse(document(name), everything)
    assert own(read.root) == names(operation)


@pytest.mark.parametrize(
    ("name", "field", "kind"),
    [
        ("gql_fulfillment_create_response_already_closed", "fulfillmentCreate", OutOfSequence),
        ("gql_fulfillment_create_response_too_many", "fulfillmentCreate", OutOfSequence),
        ("gql_fulfillment_create_response_unknown_fulfillment_order", "fulfillmentCreate", OutOfSequence),
        ("gql_fulfillment_create_response_two_locations", "fulfillmentCreate", Rejected),
        ("gql_fulfillment_create_response_zero_quantity", "fulfillmentCreate", Rejected),
        ("gql_report_progress_response_on_hold", "fulfillmentOrderReportProgress", OutOfSequence),
        ("gql_fulfillment_tracking_update_response_unknown", "fulfillmentTrackingInfoUpdate", OutOfSequence),
        ("gql_order_cancel_response_already_cancelled", "orderCancel", OutOfSequence),
        ("gql_order_cancel_response_outstanding_fulfillments", "orderCancel", OutOfSequence),
        ("gql_order_cancel_response_note_too_long", "orderCancel", Rejected),
        ("gql_fulfillment_create_response", "fulfillmentCreate", type(None)),
        ("gql_order_cancel_response", "orderCancel", type(None)),
    ],
)
def test_user_errors_are_distinguished(name: str, field: str, kind: type) -> None:
    payload = sample(name)["data"][field]
    refusal = refusal_of(payload)
    assert type(refusal) is kind
    if refusal is not None:
        assert payload["userErrors"][0]["message"] in refusal.detail


@pytest.mark.parametrize(
    ("name", "is_effect", "kind"),
    [
        ("gql_error_access_denied", True, AccessDenied),
        ("gql_error_invalid_id", False, NotFound),
        ("gql_error_invalid_id", True, OutOfSequence),
        ("gql_error_throttled", True, Transient),
    ],
)
def test_top_level_errors_are_distinguished(name: str, is_effect: bool, kind: type) -> None:
    body = sample(name)
    assert type(failure_of(body["errors"], body, is_effect=is_effect)) is kind


def test_a_throttled_shop_waits_until_the_bucket_holds_enough() -> None:
    body = sample("gql_error_throttled")
    assert throttle_seconds(body) == pytest.approx((202 - 118) / 100)
    failure = failure_of(body["errors"], body, is_effect=True)
    assert isinstance(failure, Transient)
    assert not failure.is_ambiguous
    assert throttle_seconds({}) > 0


@pytest.mark.parametrize("odd", [10**400, "1e999", "nan", -(10**400), None, [], {"a": 1}])
@pytest.mark.parametrize("place", ["requestedQueryCost", "currentlyAvailable", "restoreRate"])
def test_odd_numbers_of_a_throttled_answer_are_a_wait_of_a_minute_at_most(odd: Any, place: str) -> None:
    status = {"maximumAvailable": 1000, "currentlyAvailable": 100, "restoreRate": 50}
    cost = {"requestedQueryCost": 200, "throttleStatus": status}
    (cost if place in cost else status)[place] = odd
    assert 0 < throttle_seconds({"extensions": {"cost": cost}}) <= 60
    reported = reported_points(json.dumps({"extensions": {"cost": cost}}).encode())
    assert reported is None or not reported.is_sensible or place == "restoreRate"


def test_a_throttled_shop_whose_bucket_is_full_is_not_asked_at_once_again() -> None:
    body = sample("gql_error_throttled")
    body["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] = 2000
    assert throttle_seconds(body) >= 1


def test_an_internal_error_of_a_mutation_is_ambiguous() -> None:
    errors = [{"message": "Internal error", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]
    for is_effect in (True, False):
        failure = failure_of(errors, {}, is_effect=is_effect)
        assert isinstance(failure, Transient)
        assert failure.is_ambiguous is is_effect


@pytest.mark.parametrize(
    ("code", "kind"),
    [("TIMEOUT", Transient), (None, Transient), ("MAX_COST_EXCEEDED", Rejected), ("undefinedField", Rejected)],
)
def test_a_read_with_an_error_that_nobody_knows_is_worth_another_try(code: str | None, kind: type) -> None:
    error = {"message": "no"} | ({"extensions": {"code": code}} if code else {})
    failure = failure_of([error], {"errors": [error]}, is_effect=False)
    assert type(failure) is kind
    assert not getattr(failure, "is_ambiguous", False)


@pytest.mark.parametrize(
    ("code", "data", "kind"),
    [
        ("SHOP_INACTIVE", None, AccessDenied),
        ("MAX_COST_EXCEEDED", None, Rejected),
        ("MAX_INPUT_SIZE_EXCEEDED", None, Rejected),
        ("undefinedField", None, Rejected),
        ("TIMEOUT", None, Transient),
        ("TIMEOUT", {"fulfillmentCreate": None}, Transient),
        ("ACCESS_DENIED", {"fulfillmentCreate": None}, AccessDenied),
        ("ACCESS_DENIED", {"fulfillmentCreate": {"fulfillment": None}}, Transient),
        (None, None, Transient),
    ],
)
def test_a_mutation_is_refused_only_where_it_was_surely_not_done(code: str | None, data: Any, kind: type) -> None:
    error = {"message": "no"} | ({"extensions": {"code": code}} if code else {})
    failure = failure_of([error], {"errors": [error], "data": data}, is_effect=True)
    assert type(failure) is kind
    if isinstance(failure, Transient):
        assert failure.is_ambiguous
