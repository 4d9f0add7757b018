"""What a platform sent of an order comes out byte for byte, and takes little room where orders are alike."""

from __future__ import annotations

import pytest

from orchestrator.testing.engine_suite.samples import order, sample_payload
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.orders import insert_order
from storage.payloads import get_kept, get_payload, save_payload
from storage.transaction import Transaction


async def test_a_payload_is_kept_byte_for_byte_and_replaced_by_a_newer_one(engine: Engine) -> None:
    odd = b'\x00\xff{"a": 1.10, "a": "\\ud800"}\r\n'
    async with engine.open() as store:
        await store.write(lambda tx: insert_order(tx, order(), odd))
        assert await store.read(lambda tx: get_payload(tx, "acme", "1")) == odd
        await store.write(lambda tx: save_payload(tx, "acme", "1", b"new", NOW))
        assert await store.read(lambda tx: get_payload(tx, "acme", "1")) == b"new"
        assert await store.read(lambda tx: get_payload(tx, "acme", "2")) is None


async def test_orders_alike_are_kept_in_a_fraction_of_their_bytes_and_given_back_as_they_were(engine: Engine) -> None:
    payloads = {str(number): sample_payload(number) for number in range(50)}
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            for number, payload in payloads.items():
                insert_order(tx, order(number), payload, {"note": number})

        await store.write(unit)
        for number, payload in payloads.items():
            assert await store.read(lambda tx, n=number: get_payload(tx, "acme", n)) == payload  # type: ignore[misc]
            kept = await store.read(lambda tx, n=number: get_kept(tx, "acme", n))  # type: ignore[misc]
            assert kept is not None
            assert kept.content == {"note": number}
        kept_bytes = await store.read(lambda tx: tx.query("SELECT sum(length(packed)) FROM payloads")[0][0])
        assert kept_bytes < sum(map(len, payloads.values())) / 4


async def test_what_a_shops_orders_have_alike_is_kept_without_what_any_of_them_says(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: insert_order(tx, order(), sample_payload(7), {"buyer": {"name": "Anna"}}))
        ((words,),) = await store.read(lambda tx: tx.query("SELECT words FROM dictionaries"))
        assert b'"customer_name":' in bytes(words)
        for value in (b"Anna", b"anna@example.com", b"07", b"43"):
            assert value not in bytes(words)


async def test_payloads_of_a_version_that_kept_them_plainly_are_read_and_packed_when_they_change(
    engine: Engine,
) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: insert_order(tx, order(), b"{}"))
        plainly = "UPDATE payloads SET payload = ?, content = ?, packed = NULL, dictionary = NULL"
        await store.write(lambda tx: tx.execute(plainly, (sample_payload(1), '{"note":"old"}')))
        assert await store.read(lambda tx: get_payload(tx, "acme", "1")) == sample_payload(1)
        kept = await store.read(lambda tx: get_kept(tx, "acme", "1"))
        assert kept is not None
        assert kept.content == {"note": "old"}
        await store.write(lambda tx: save_payload(tx, "acme", "1", sample_payload(2), NOW, {"note": "new"}, NOW))
        assert await store.read(lambda tx: get_payload(tx, "acme", "1")) == sample_payload(2)
        row = await store.read(lambda tx: tx.query("SELECT length(payload), content, packed FROM payloads")[0])
        assert row[:2] == (0, None)
        assert row[2] is not None


@pytest.mark.parametrize("cut", [1, 5, 100])
async def test_what_the_disk_damaged_counts_as_not_kept_until_it_is_kept_anew(engine: Engine, cut: int) -> None:
    async with engine.open() as store:
        for number in (1, 2):
            await store.write(lambda tx, n=number: insert_order(tx, order(str(n)), sample_payload(n), {"note": n}))  # type: ignore[misc]
        ((packed,),) = await store.read(lambda tx: tx.query("SELECT packed FROM payloads WHERE id = '1'"))
        damaged = bytes(packed)[:-cut]
        await store.write(lambda tx: tx.execute("UPDATE payloads SET packed = ? WHERE id = '1'", (damaged,)))
        assert await store.read(lambda tx: get_payload(tx, "acme", "1")) is None
        kept = await store.read(lambda tx: get_kept(tx, "acme", "1"))
        assert kept is not None
        assert (kept.content, kept.is_exact) == (None, False)
        assert await store.read(lambda tx: get_payload(tx, "acme", "2")) == sample_payload(2)
        await store.write(lambda tx: save_payload(tx, "acme", "1", sample_payload(3), NOW, {"note": 3}, NOW))
        assert await store.read(lambda tx: get_payload(tx, "acme", "1")) == sample_payload(3)


async def test_payloads_without_their_dictionary_count_as_not_kept(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: insert_order(tx, order(), sample_payload(1), {"note": 1}))
        await store.write(lambda tx: tx.execute("DELETE FROM dictionaries"))
        assert await store.read(lambda tx: get_payload(tx, "acme", order().id)) is None
