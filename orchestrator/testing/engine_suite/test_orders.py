"""Orders in the store: what goes in comes out, lost updates are noticed, the dispatcher's and people's questions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.testing.engine_suite.samples import FULL_ORDER, PLAIN_ORDER, order, sample_payload
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.counts import count_orders
from storage.due_orders import due_orders, is_outdated, next_due_at, orders_with_intent, stalest_orders
from storage.history import note_skipped, skipped_among
from storage.leases import acquire
from storage.order_search import OrderFilter, find_orders, fitting_orders, kept_situations, list_orders
from storage.orders import (
    SELDOM,
    LostUpdate,
    NewOrder,
    blocked_orders,
    get_order,
    get_orders,
    insert_order,
    insert_orders,
    orders_among,
    save_order,
)
from storage.payloads import get_kept, get_payload, save_payload
from storage.records import Intent, Kept, Order, Problem, Situation
from storage.rejected import add_rejected, set_aside_among
from storage.store import Store
from storage.transaction import Transaction


async def keep(store: Store, *orders: Order) -> list[Order]:
    return await store.write(lambda tx: [insert_order(tx, each, b"{}") for each in orders])


async def ids(store: Store, wanted: OrderFilter) -> list[str]:
    return [found.id for found in await store.read(lambda tx: list_orders(tx, 0, 100, wanted))]


@pytest.mark.parametrize("record", [PLAIN_ORDER, FULL_ORDER], ids=["plain", "full"])
async def test_an_order_comes_out_as_it_went_in(engine: Engine, record: Order) -> None:
    async with engine.open() as store:
        (kept,) = await keep(store, record)
        assert kept == replace(record, seq=kept.seq)
        assert await store.read(lambda tx: get_order(tx, record.shop, record.id)) == kept
        assert await store.read(lambda tx: get_order(tx, "other", record.id)) is None


async def test_a_restart_finds_what_was_kept(engine: Engine) -> None:
    async with engine.open() as store:
        (kept,) = await keep(store, FULL_ORDER)
    async with engine.open() as store:
        assert await store.read(lambda tx: get_order(tx, kept.shop, kept.id)) == kept


async def test_every_field_of_an_order_is_saved(engine: Engine) -> None:
    async with engine.open() as store:
        (plain,) = await keep(store, order(FULL_ORDER.id))
        wanted = replace(FULL_ORDER, seq=plain.seq)
        saved = await store.write(lambda tx: save_order(tx, wanted))
        assert saved == replace(wanted, version=2)
        assert await store.read(lambda tx: get_order(tx, "acme", plain.id)) == saved
        cleared = await store.write(lambda tx: save_order(tx, replace(plain, version=2)))
        assert await store.read(lambda tx: get_order(tx, "acme", plain.id)) == cleared


async def test_fields_that_a_step_leaves_alone_can_be_left_out_of_a_save(engine: Engine) -> None:
    async with engine.open() as store:
        (plain,) = await keep(store, order(FULL_ORDER.id))
        wanted = replace(FULL_ORDER, seq=plain.seq)
        await store.write(lambda tx: save_order(tx, wanted, has_seldom=False))
        found = await store.read(lambda tx: get_order(tx, "acme", plain.id))
        assert found == replace(wanted, version=2, **{name: getattr(plain, name) for name in SELDOM})


async def test_an_update_of_an_old_version_is_refused(engine: Engine) -> None:
    async with engine.open() as store:
        (first,) = await keep(store, order())
        await store.write(lambda tx: save_order(tx, replace(first, state="OrderConfirm")))
        with pytest.raises(LostUpdate):
            await store.write(lambda tx: save_order(tx, replace(first, state="SentOrder")))
        found = await store.read(lambda tx: get_order(tx, "acme", "1"))
        assert found is not None
        assert (found.state, found.version) == ("OrderConfirm", 2)
        kept = await store.read(lambda tx: get_order(tx, first.shop, first.id))
        assert kept is not None
        assert kept.version == 2


async def test_the_same_order_cannot_be_added_twice_but_two_shops_may_use_one_id(engine: Engine) -> None:
    async with engine.open() as store:
        await keep(store, order(), order(shop="other"))
        with pytest.raises(Exception, match=r"(?i)unique"):
            await keep(store, order())
        assert len(await store.read(lambda tx: list_orders(tx, 0, 10))) == 2


async def test_what_is_known_of_several_orders_is_found_in_one_query_each(engine: Engine) -> None:
    async with engine.open() as store:
        kept = await keep(store, order("1"), order("2", shop="other"), order("3"))

        def note(tx: Transaction) -> None:
            acquire(tx, "acme", "example", "node")
            for shop, number in (("acme", "4"), ("other", "5")):
                add_rejected(tx, shop, "poll", number, "no JSON", b"{", NOW)
                note_skipped(tx, shop, number)

        await store.write(note)
        asked = [str(number) for number in range(1, 7)]
        assert await store.read(lambda tx: get_orders(tx, "acme", asked)) == {"1": kept[0], "3": kept[2]}
        assert await store.read(lambda tx: set_aside_among(tx, "acme", asked)) == {"4"}
        assert await store.read(lambda tx: skipped_among(tx, "acme", asked)) == {"4"}


async def test_orders_are_added_together_as_each_by_itself(engine: Engine) -> None:
    new = [replace(FULL_ORDER, id=str(number)) for number in range(3)] + [order("plain")]
    payloads = [sample_payload(1), b"{}", sample_payload(2), b""]
    contents = [{"note": "\ud83d"}, None, {"note": "Gr\u00fc\u00dfe"}, {}]
    async with engine.open() as store:
        together = list(map(NewOrder, new, payloads, contents))
        added = await store.write(lambda tx: insert_orders(tx, together))
        alone = await store.write(
            lambda tx: [
                insert_order(tx, replace(each, shop="other"), payload, content) for each, payload, content in together
            ]
        )
        places = [(shop, each.id) for shop in ("acme", "other", "third") for each in new]
        found = await store.read(lambda tx: orders_among(tx, places))
        assert found == {(each.shop, each.id): each for each in (*added, *alone)}
        assert [each.id for each in added] == [each.id for each in new]
        assert await store.read(lambda tx: orders_among(tx, [])) == {}
        for each, payload in zip(new, payloads, strict=True):
            assert await store.read(lambda tx, n=each.id: get_payload(tx, "acme", n)) == payload  # type: ignore[misc]
            kept = [await store.read(lambda tx, n=each.id, s=s: get_kept(tx, s, n)) for s in ("acme", "other")]  # type: ignore[misc]
            assert kept[0] == kept[1]
        assert await store.write(lambda tx: insert_orders(tx, [])) == []


async def test_text_that_is_no_unicode_costs_its_odd_characters_alone(engine: Engine) -> None:
    odd = "cut emoji \ud83d here"
    async with engine.open() as store:
        await keep(store, order("1", reference=odd, facts={"note": odd}))
        found = await store.read(lambda tx: get_order(tx, "acme", "1"))
        assert found is not None
        assert found.reference == "cut emoji \ufffd here"
        assert found.facts == {"note": "cut emoji \ufffd here"}
        assert await store.read(lambda tx: get_order(tx, "acme", "\udc00")) is None


async def test_due_orders_come_longest_due_first_and_only_of_their_shop(engine: Engine) -> None:
    async with engine.open() as store:
        await keep(
            store,
            order("late", due_at=NOW - 10),
            order("now", due_at=NOW),
            order("soon", due_at=NOW + 50),
            order("resting"),
            order("foreign", shop="other", due_at=NOW - 99),
        )
        due = await store.read(lambda tx: due_orders(tx, "acme", NOW, 10))
        assert [(each.id, each.due_at) for each in due] == [("late", NOW - 10), ("now", NOW)]
        assert due[0] == await store.read(lambda tx: get_order(tx, "acme", "late"))
        assert [each.id for each in await store.read(lambda tx: due_orders(tx, "acme", NOW, 1))] == ["late"]
        assert await store.read(lambda tx: next_due_at(tx, "acme", NOW)) == NOW + 50
        assert await store.read(lambda tx: next_due_at(tx, "acme", NOW + 50)) is None
        assert await store.read(lambda tx: next_due_at(tx, "nobody", 0)) is None


async def test_calls_that_were_out_are_found_again(engine: Engine) -> None:
    async with engine.open() as store:
        out = Intent("t", "confirm", "CheckQueue", "OrderConfirm", NOW)
        await keep(store, order("1"), order("2", intent=out), order("3", shop="other", intent=out))
        found = await store.read(lambda tx: orders_with_intent(tx, "acme"))
        assert [(each.id, each.intent) for each in found] == [("2", out)]


async def test_content_of_an_older_version_is_distinguished_from_that_of_this_one(engine: Engine) -> None:
    async with engine.open() as store:
        await keep(store, order("1"))
        await store.write(lambda tx: save_payload(tx, "acme", "1", b"{}", NOW, {"note": None}, NOW - 1))
        assert await store.read(lambda tx: get_kept(tx, "acme", "1")) == Kept({"note": None}, NOW - 1, NOW)
        await store.write(lambda tx: tx.execute("UPDATE payloads SET content_version = NULL"))
        older = await store.read(lambda tx: get_kept(tx, "acme", "1"))
        assert older == Kept({"note": None}, NOW - 1, NOW, is_exact=False)


async def test_the_stalest_open_orders_come_first(engine: Engine) -> None:
    async with engine.open() as store:
        await keep(
            store,
            order("fresh", observed_at=NOW),
            order("stale", observed_at=NOW - 20),
            order("staler", observed_at=NOW - 30),
            order("done", state="ToCustomer", observed_at=NOW - 40, moved_at=NOW - 40),
            order("finished by us", state="ToCustomer", observed_at=NOW - 25, moved_at=NOW - 24),
            order("of a copy", state="ToCustomer", observed_at=0, moved_at=NOW - 24),
            order("foreign", shop="other", observed_at=NOW - 50),
        )
        ends = ("ToCustomer", "Canceled")
        assert await store.read(lambda tx: stalest_orders(tx, "acme", ends, NOW, 9)) == [
            "staler",
            "finished by us",  # nobody saw yet what our last call on it did
            "stale",
        ]
        assert await store.read(lambda tx: stalest_orders(tx, "acme", ends, NOW, 1)) == ["staler"]


async def test_counts_and_the_orders_that_need_a_person(engine: Engine) -> None:
    async with engine.open() as store:
        await keep(
            store,
            order("1"),
            order("2"),
            order("3", state="SentOrder", situation=Situation.BLOCKED, updated_at=NOW + 5),
            order("4", shop="other", situation=Situation.BLOCKED),
        )
        assert sorted(await store.read(count_orders)) == [
            ("acme", "blocked", "SentOrder", 1),
            ("acme", "idle", "CheckQueue", 2),
            ("other", "blocked", "CheckQueue", 1),
        ]
        assert [each.id for each in await store.read(lambda tx: blocked_orders(tx, 9))] == ["4", "3"]
        assert len(await store.read(lambda tx: blocked_orders(tx, 1))) == 1


async def test_filters_narrow_alone_and_together(engine: Engine) -> None:
    async with engine.open() as store:
        await keep(
            store,
            order("1", reference="R"),
            order("2", state="SentOrder", milestone="shipped", updated_at=NOW + 1),
            order("3", state="ToCustomer", milestone="delivered", situation=Situation.QUEUED),
            order("4", shop="other", situation=Situation.QUEUED),
            order("5", shop="other", situation=Situation.WAITING),
            order("6", shop="other", situation=Situation.RETRYING),
        )
        expected = [
            (OrderFilter(), "123456"),
            (OrderFilter(shop="acme"), "123"),
            (OrderFilter(shop="nobody"), ""),
            (OrderFilter(states=("SentOrder", "ToCustomer")), "23"),
            (OrderFilter(milestone="shipped"), "2"),
            (OrderFilter(reference="R"), "1"),
            (OrderFilter(updated_after=NOW), "2"),
            (OrderFilter(situation="queued"), "34"),
            (OrderFilter(situation="waiting"), "5"),
            (OrderFilter(situation="queued", shop="acme"), "3"),
            (OrderFilter(situation="queued", waiting_shops=("other",)), "3"),
            (OrderFilter(situation="waiting", waiting_shops=("other",)), "456"),
            (OrderFilter(situation="retrying"), "6"),
            (OrderFilter(situation="retrying", waiting_shops=("other",)), ""),
            (OrderFilter(situation="waiting", waiting_shops=("other",), shop="acme"), ""),
            (OrderFilter(situation="idle", waiting_shops=("other",)), "12"),
        ]
        for wanted, found in expected:
            assert "".join(await ids(store, wanted)) == found, wanted


async def test_filters_by_problem_compare_the_whole_type_and_the_whole_step(engine: Engine) -> None:
    refused = Problem("rejected", "The platform refused the step", "no", "send", NOW)
    async with engine.open() as store:
        await keep(
            store,
            order("1", situation=Situation.BLOCKED, problem=refused),
            order("2", situation=Situation.HELD, problem=replace(refused, step="set_tracking", since=7)),
            order("3", situation=Situation.BLOCKED, problem=replace(refused, step=None, detail="send")),
            order("4", situation=Situation.BLOCKED, problem=replace(refused, detail='a "quote",send,1]', step="Send")),
            order("5", shop="other", situation=Situation.BLOCKED, problem=replace(refused, type="rejected-", step="x")),
            order("6", situation=Situation.BLOCKED, updated_at=NOW + 1),
            order("7", situation=Situation.QUEUED),
            order("8", gone_at=NOW),
        )
        expected = [
            (OrderFilter(problem="rejected"), "1234"),
            (OrderFilter(problem="rejected", shop="other"), ""),
            (OrderFilter(problem="reject"), ""),
            (OrderFilter(step="send"), "1"),
            (OrderFilter(step="setatracking"), ""),
            (OrderFilter(step="set_tracking"), "2"),
            (OrderFilter(step="end"), ""),
            (OrderFilter(step="%"), ""),
            (OrderFilter(problem="rejected", situation="held"), "2"),
            (OrderFilter(problem="rejected", situation="idle"), ""),
            (OrderFilter(problem="rejected", situation="waiting", waiting_shops=("acme",)), ""),
            (OrderFilter(has_problem=True), "12345"),
            (OrderFilter(is_gone=True), "8"),
            (OrderFilter(is_gone=True, shop="other"), ""),
            (OrderFilter(updated_before=NOW), ""),
            (OrderFilter(updated_before=NOW + 1), "1234578"),
            (OrderFilter(updated_before=NOW + 1, shop="other"), "5"),
            (OrderFilter(updated_before=NOW + 2, updated_after=NOW), "6"),
        ]
        for wanted, found in expected:
            assert "".join(await ids(store, wanted)) == found, wanted
            rows = await store.read(lambda tx, wanted=wanted: find_orders(tx, 0, 9, wanted))  # type: ignore[misc]
            assert "".join(row[2] for row in rows) == found, wanted
        some = await store.read(
            lambda tx: fitting_orders(tx, "acme", ["1", "3", "5", "8"], OrderFilter(problem="rejected"))
        )
        assert sorted(row[0] for row in some) == ["1", "3"]
        rows = await store.read(lambda tx: find_orders(tx, 0, 9, OrderFilter(has_problem=True)))
        stand = await store.read(lambda tx: kept_situations(tx, [row[0] for row in rows]))
        assert sorted(each.problem or "" for each in stand) == sorted(row[3] for row in rows)
        assert await store.read(lambda tx: kept_situations(tx, [])) == []


async def test_pages_by_key_show_each_order_once_whatever_changes_meanwhile(engine: Engine) -> None:
    async with engine.open() as store:
        await keep(store, *(order(str(number)) for number in range(7)))
        seen: list[str] = []
        after = 0
        while page := await store.read(lambda tx, after=after: list_orders(tx, after, 3)):  # type: ignore[misc]
            seen += [each.id for each in page]
            after = page[-1].seq
            await store.write(lambda tx, page=page: save_order(tx, page[0]))  # type: ignore[misc]
        assert seen == [str(number) for number in range(7)]


async def test_an_order_at_rest_is_outdated_until_it_is_observed_after_our_last_call(engine: Engine) -> None:
    known = {
        "moved": order("moved", moved_at=NOW, observed_at=NOW),
        "to be read": order("to be read", moved_at=NOW, observed_at=0),
        "observed": order("observed", moved_at=NOW - 1, observed_at=NOW),
        "under way": order("under way", moved_at=NOW, observed_at=0, situation=Situation.QUEUED),
        "gone": order("gone", moved_at=NOW, observed_at=0, gone_at=NOW),
        "provisional": order("provisional", moved_at=NOW, observed_at=0, is_provisional=True),
    }
    async with engine.open() as store:
        await keep(store, *known.values())
        found = await store.read(lambda tx: [name for name in known if is_outdated(tx, "acme", name)])
        assert found == ["moved", "to be read"]
        assert not await store.read(lambda tx: is_outdated(tx, "other", "moved"))
