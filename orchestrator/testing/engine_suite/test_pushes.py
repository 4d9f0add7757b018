"""What is pushed to us and by us: the inbox, products, fulfilments, receivers and what is parked for them."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.attempts import Attempt, last_attempt, list_attempts, note_attempts
from storage.deliveries import (
    ConsumerLag,
    DeliveryState,
    Head,
    Lag,
    consumer_lags,
    consumer_of,
    count_parked,
    delivery_state,
    hurry_key,
    hurry_parked,
    is_parked,
    lag_of,
    list_parked,
    note_delivered,
    note_error,
    park,
    parked_heads,
    parked_keys,
    pause_delivery,
    replay,
    unpark,
)
from storage.events import acknowledge, append_event, consumer_cursor
from storage.products import StoredProduct, Version, list_products, note_shipment, save_product
from storage.transaction import Transaction
from storage.webhooks import (
    Arrival,
    Webhook,
    Which,
    add_webhook,
    due_webhooks,
    finish_webhook,
    get_payload_of,
    postpone_webhook,
    shops_with_webhooks,
)

BODY = b'\x00{"id": 1}\xff'
MANY = 1_000_000


def arrival(
    webhook_id: str | None = "w", event_id: str | None = None, topic: str | None = "orders/paid", shop: str = "acme"
) -> Arrival:
    return Arrival(shop, "signed", topic, webhook_id, event_id, NOW - 5, BODY)


async def test_a_webhook_is_kept_once_by_its_id_or_by_its_event_and_topic(engine: Engine) -> None:
    arrivals = [
        (arrival("w-1", "e-1"), True),
        (arrival("w-1", "e-2"), False),
        (arrival("w-2", "e-1"), False),
        (arrival("w-3", "e-1", "orders/updated"), True),
        (arrival("w-1", "e-1", shop="other"), True),
        (arrival(None, None), True),
        (arrival(None, None), True),
        (arrival("w-4", "e-4", None), True),
        (arrival("w-5", "e-4", None), True),
    ]
    async with engine.open() as store:
        for each, is_new in arrivals:
            assert await store.write(lambda tx, a=each: add_webhook(tx, a, NOW)) is is_new, each  # type: ignore[misc]


async def test_the_inbox_is_worked_off_in_the_order_of_arrival(engine: Engine) -> None:
    async with engine.open() as store:
        for number in range(3):
            await store.write(lambda tx, n=number: add_webhook(tx, arrival(str(n)), NOW + n))  # type: ignore[misc]
        assert await store.read(shops_with_webhooks) == [("acme", NOW)]
        assert await store.read(lambda tx: due_webhooks(tx, "acme", NOW, 9, MANY)) == [
            Webhook(1, "acme", "signed", "orders/paid", BODY, NOW, 0, None)
        ]
        assert [each.id for each in await store.read(lambda tx: due_webhooks(tx, "acme", NOW + 9, 2, MANY))] == [1, 2]
        assert await store.write(lambda tx: finish_webhook(tx, 1, NOW + 9)) is True
        assert await store.write(lambda tx: finish_webhook(tx, 1, NOW + 9)) is False
        await store.write(lambda tx: postpone_webhook(tx, 2, NOW + 50, is_failure=True))
        await store.write(lambda tx: postpone_webhook(tx, 3, NOW + 60, is_failure=False))
        assert await store.read(shops_with_webhooks) == [("acme", NOW + 50)]
        left = await store.read(lambda tx: due_webhooks(tx, "acme", NOW + 60, 9, MANY))
        assert [(each.id, each.attempts) for each in left] == [(2, 1), (3, 0)]
        assert await store.read(lambda tx: get_payload_of(tx, 1)) == BODY
        assert await store.read(lambda tx: get_payload_of(tx, 9)) is None


async def test_what_is_worked_off_at_once_is_bounded_by_its_bytes(engine: Engine) -> None:
    async with engine.open() as store:
        for number in range(3):
            await store.write(lambda tx, n=number: add_webhook(tx, arrival(str(n)), NOW))  # type: ignore[misc]
        for most_bytes, ids in ((0, [1]), (len(BODY) * 2 - 1, [1]), (len(BODY) * 2, [1, 2]), (MANY, [1, 2, 3])):
            found = await store.read(lambda tx, m=most_bytes: due_webhooks(tx, "acme", NOW, 9, m))  # type: ignore[misc]
            assert [each.id for each in found] == ids


async def test_what_can_be_processed_without_the_platform_is_found_by_its_kind(engine: Engine) -> None:
    async with engine.open() as store:
        kinds = {"orders/paid": "order", "products/update": "product", None: "other"}
        arrivals = [replace(arrival(topic, topic=topic), kind=kind) for topic, kind in kinds.items()]
        for each in (*arrivals, Arrival("acme", "hint", None, None, None, None, BODY)):
            await store.write(lambda tx, a=each: add_webhook(tx, a, NOW))  # type: ignore[misc]
        found = await store.read(lambda tx: due_webhooks(tx, "acme", NOW, 9, MANY, Which.LOCAL))
        assert [each.topic for each in found] == ["products/update", None]


async def test_an_older_version_of_a_product_never_replaces_a_newer_one(engine: Engine) -> None:
    saves = [
        ("1", "first", 100, b"a", Version.FIRST),
        ("1", "same again", 100, b"a", Version.STALE),
        ("1", "same second", 100, b"b", Version.NEWER),
        ("1", "older", 99, b"c", Version.STALE),
        ("1", "no time", None, b"d", Version.NEWER),
        ("1", "older, after none", 99, b"e", Version.STALE),
        ("2", "another", None, b"f", Version.FIRST),
    ]
    async with engine.open() as store:
        for product, title, updated_at, payload, version in saves:
            saved = await store.write(
                lambda tx, p=product, t=title, at=updated_at, b=payload: save_product(  # type: ignore[misc]
                    tx, "acme", p, t, at, b, NOW
                )
            )
            assert saved is version, title
        await store.write(lambda tx: save_product(tx, "other", "1", None, None, b"", NOW))
        kept = await store.read(lambda tx: list_products(tx, 0, 9, "acme"))
        assert kept == [
            StoredProduct(kept[0].seq, "acme", "1", "no time", 100, b"d"),
            StoredProduct(kept[1].seq, "acme", "2", "another", None, b"f"),
        ]
        everything = await store.read(lambda tx: list_products(tx, kept[0].seq, 9))
        assert [(each.shop, each.id) for each in everything] == [("acme", "2"), ("other", "1")]


async def test_a_fulfilments_versions_are_distinguished_by_change_time_and_bytes(engine: Engine) -> None:
    async with engine.open() as store:
        for at, payload, version in (
            (100, b"a", Version.FIRST),
            (100, b"b", Version.NEWER),
            (100, b"b", Version.STALE),
            (99, b"c", Version.STALE),
            (101, b"d", Version.NEWER),
            (None, b"e", Version.NEWER),
            (None, b"e", Version.STALE),
            (100, b"f", Version.STALE),
        ):
            noted = await store.write(
                lambda tx, at=at, b=payload: note_shipment(tx, "acme", "f", at, b, NOW)  # type: ignore[misc]
            )
            assert noted is version, payload


async def test_what_is_known_of_a_receiver_survives_a_restart(engine: Engine) -> None:
    async with engine.open() as store:
        assert await store.read(lambda tx: delivery_state(tx, "orders")) == DeliveryState()
        assert await store.write(lambda tx: pause_delivery(tx, "orders", None)) is False
        assert await store.write(lambda tx: pause_delivery(tx, "orders", NOW)) is True
        assert await store.write(lambda tx: pause_delivery(tx, "orders", NOW + 1)) is False
        await store.write(lambda tx: note_error(tx, "orders", NOW + 2, "410 Gone"))
    async with engine.open() as store:
        kept = await store.read(lambda tx: delivery_state(tx, "orders"))
        assert kept == DeliveryState(NOW, "410 Gone", NOW + 2, None)
        await store.write(lambda tx: note_delivered(tx, "orders", NOW + 3, None))
        assert await store.write(lambda tx: pause_delivery(tx, "orders", None)) is True
        assert await store.read(lambda tx: delivery_state(tx, "orders")) == DeliveryState(None, None, None, NOW + 3)


async def test_an_error_stands_for_as_long_as_something_is_parked(engine: Engine) -> None:
    async with engine.open() as store:
        cursor = await store.write(lambda tx: append_event(tx, NOW, "x"))
        await store.write(lambda tx: park(tx, "orders", cursor, "1", 1, NOW))
        await store.write(lambda tx: note_delivered(tx, "orders", NOW, "422 from the ERP"))
        await store.write(lambda tx: note_delivered(tx, "orders", NOW + 1, None))
        assert (await store.read(lambda tx: delivery_state(tx, "orders"))).last_error == "422 from the ERP"
        await store.write(lambda tx: unpark(tx, "orders", cursor))
        await store.write(lambda tx: note_delivered(tx, "orders", NOW + 2, None))
        assert (await store.read(lambda tx: delivery_state(tx, "orders"))).last_error is None


async def test_the_first_parked_event_of_a_key_says_when_the_key_is_due(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            for key, due_at in (("1", NOW + 5), ("1", NOW), ("2", NOW - 1), ("3", NOW + 9)):
                park(tx, "orders", append_event(tx, NOW, "x", order=key), key, 1, due_at)
            park(tx, "orders", 999, "gone", 1, NOW)
            park(tx, "products", 1, "1", 1, NOW)

        await store.write(unit)

        async def heads(limit: int = 9) -> list[tuple[str, int]]:
            found = await store.read(lambda tx: parked_heads(tx, "orders", limit))
            return [(head.ordering_key, head.due_at - NOW) for head in found]

        async def parked(key: str, limit: int = 9) -> list[tuple[int, str, int]]:
            found = await store.read(lambda tx: list_parked(tx, "orders", key, limit))
            return [(each.event.cursor, each.ordering_key, each.attempts) for each in found]

        assert await store.read(lambda tx: parked_heads(tx, "nobody", 9)) == []
        assert await heads() == [("2", -1), ("1", 5), ("3", 9)]
        assert await heads(1) == [("2", -1)]
        assert await parked("1") == [(1, "1", 1), (2, "1", 1)]
        assert await parked("1", 1) == [(1, "1", 1)]
        assert await store.read(lambda tx: parked_keys(tx, "orders", ["1", "3", "9", "gone"])) == {"1", "3"}
        assert await store.read(lambda tx: parked_keys(tx, "orders", [])) == set()
        await store.write(lambda tx: park(tx, "orders", 1, "1", 2, NOW))
        assert await parked("1") == [(1, "1", 2), (2, "1", 1)]
        await store.write(lambda tx: unpark(tx, "orders", 1))
        assert await heads() == [("2", -1), ("1", 0), ("3", 9)]
        assert await store.read(lambda tx: count_parked(tx, "orders")) == 3
        assert await store.read(lambda tx: (is_parked(tx, "orders", 2), is_parked(tx, "orders", 1))) == (True, False)
        await store.write(lambda tx: hurry_key(tx, "orders", "1", NOW - 2))
        assert await heads() == [("1", -2), ("2", -1), ("3", 9)]
        await store.write(lambda tx: hurry_parked(tx, "orders", NOW))
        assert sorted(await heads()) == [("1", -2), ("2", -1), ("3", 0)]
        assert await store.read(lambda tx: parked_heads(tx, "products", 9)) == [Head("1", NOW)]


async def test_the_lag_counts_what_lies_ahead_and_what_is_parked(engine: Engine) -> None:
    async with engine.open() as store:
        types = ("order.updated", "order.imported")
        assert await store.read(lambda tx: lag_of(tx, "orders", types)) == Lag(0, None)

        def unit(tx: Transaction) -> None:
            for at, type_ in enumerate(("order.imported", "step.done", "order.updated", "order.updated")):
                append_event(tx, NOW + at, type_)
            acknowledge(tx, consumer_of("orders"), 3, NOW)

        await store.write(unit)
        assert await store.read(lambda tx: lag_of(tx, "orders", types)) == Lag(1, NOW + 3)
        await store.write(lambda tx: park(tx, "orders", 1, "1", 1, NOW))
        assert await store.read(lambda tx: lag_of(tx, "orders", types)) == Lag(2, NOW)
        await store.write(lambda tx: park(tx, "orders", 4, "1", 1, NOW))
        assert await store.read(lambda tx: lag_of(tx, "orders", types)) == Lag(2, NOW)


async def test_consumers_that_pull_are_reported_with_how_far_they_are_behind(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            for number in range(5):
                append_event(tx, NOW + number, "x")
            acknowledge(tx, "erp", 2, NOW + 9)
            acknowledge(tx, "bi", 5, NOW + 8)
            acknowledge(tx, "delivery:orders", 1, NOW)
            acknowledge(tx, ".probe", 1, NOW)

        await store.write(unit)
        assert await store.read(consumer_lags) == [
            ConsumerLag("bi", 5, NOW + 8, Lag(0, None)),
            ConsumerLag("erp", 2, NOW + 9, Lag(3, NOW + 2)),
        ]


async def test_attempts_are_listed_newest_first_with_their_events(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> list[int]:
            append_event(tx, NOW, "order.held", shop="acme", order="7")
            failed = Attempt("in_turn", 1, 1, NOW, 250, 503, "answered (503)")
            taken, test = replace(failed, attempt=2, status=204, error=None), replace(failed, kind="test", cursor=None)
            return note_attempts(tx, "orders", [failed, taken, test])

        first, second, third = await store.write(unit)
        await store.write(lambda tx: note_attempts(tx, "products", [Attempt("again", 9, 1, NOW, 0, None, "no answer")]))
        everything = await store.read(lambda tx: list_attempts(tx, "orders", 9))
        assert [each.id for each in everything] == [third, second, first]
        assert everything[1].made == Attempt("in_turn", 1, 2, NOW, 250, 204, None)
        assert (everything[1].type, everything[1].shop, everything[1].order) == ("order.held", "acme", "7")
        assert (everything[0].made.cursor, everything[0].type) == (None, None)
        of_one = await store.read(lambda tx: list_attempts(tx, "orders", 9, cursor=1, before_id=second))
        failed = await store.read(lambda tx: list_attempts(tx, "orders", 1, only_failed=True))
        assert ([each.id for each in of_one], [each.id for each in failed]) == ([first], [third])
        assert await store.read(lambda tx: [last_attempt(tx, name, 1) for name in ("orders", "products")]) == [2, 0]


async def test_a_replay_sets_a_receiver_back_with_what_is_parked_above_and_never_forward(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            for number in range(5):
                append_event(tx, NOW + number, "x", order="1")
            acknowledge(tx, consumer_of("orders"), 4, NOW)
            for cursor in (1, 3):
                park(tx, "orders", cursor, "1", 1, NOW)

        await store.write(unit)

        async def after(cursor: int) -> tuple[int, list[int]]:
            await store.write(lambda tx: replay(tx, "orders", cursor))
            parked = await store.read(lambda tx: list_parked(tx, "orders", "1", 9))
            now = await store.read(lambda tx: consumer_cursor(tx, consumer_of("orders")))
            return now, [each.event.cursor for each in parked]

        assert await after(5) == (4, [1, 3])
        assert await after(2) == (2, [1])
        assert await after(0) == (0, [])
        await store.write(lambda tx: replay(tx, "products", 0))
        assert await store.read(lambda tx: consumer_cursor(tx, consumer_of("products"))) == 0
