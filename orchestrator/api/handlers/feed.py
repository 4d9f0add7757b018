"""Calls about the event feed: pages, long polls, server-sent events, and consumers whose cursor is kept here.

A stream is a loop of pages: whoever is woken reads the store, so nothing depends on who was connected when. A reader
that is slow is waited for between pages and holds nothing meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from aiohttp import web

from orchestrator.api.access import admit, is_admitted
from orchestrator.api.answers import JSON_TYPE, SSE_TYPE, answer, json_answer, stream
from orchestrator.api.call import Call, header
from orchestrator.api.negotiation import prefers
from orchestrator.api.reading import checked, read_json
from orchestrator.api.schema.bodies import AckBody
from orchestrator.api.schema.fields import CURSOR
from orchestrator.api.schema.queries import EventsQuery, FeedQuery, Query
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.documents import Consumer, ConsumerList
from orchestrator.operations.writing import to_json
from storage.events import EventFilter

FEED_HEADER = "Fulfilld-Feed"
"""Names the feed of a stream, which has no page around its events; its first comment does so too."""
KEEP_ALIVE_SECONDS = 15.0
"""How often a silent stream says that it lives: proxies cut what is silent for a minute."""


async def read_events(call: Call[EventsQuery]) -> web.StreamResponse:
    """Events above a cursor."""
    query = call.query
    beginning = await call.services.queries.beginning(_filter(query), query.tail, query.since)
    return await _events(call, max(query.after, beginning))


async def read_consumer_events(call: Call[FeedQuery]) -> web.StreamResponse:
    """Events above what the consumer has acknowledged."""
    return await _events(call, await call.services.queries.consumer_cursor(call.path["name"]))


async def acknowledge(call: Call[Query]) -> web.StreamResponse:
    """Moves a consumer on."""
    name = call.path["name"]
    body = checked(AckBody, await read_json(call.request), "invalid-request")
    cursor, feed = await call.services.queries.acknowledge(name, body.cursor, body.feed)
    return answer(Consumer(name=name, cursor=cursor, feed=feed))


async def list_consumers(call: Call[Query]) -> web.StreamResponse:
    """The consumers whose cursor is kept here."""
    return answer(ConsumerList(consumers=await call.services.queries.consumers()))


async def seek(call: Call[Query]) -> web.StreamResponse:
    """Sets a consumer's cursor."""
    name = call.path["name"]
    body = checked(AckBody, await read_json(call.request), "invalid-request")
    feed = await call.services.queries.seek(name, body.cursor, body.feed)
    return answer(Consumer(name=name, cursor=body.cursor, feed=feed))


async def forget_consumer(call: Call[Query]) -> web.StreamResponse:
    """Forgets a consumer."""
    name = call.path["name"]
    cursor, feed = await call.services.queries.forget_consumer(name)
    return answer(Consumer(name=name, cursor=cursor, feed=feed))


async def _events(call: Call[FeedQuery], after: int) -> web.StreamResponse:
    query = call.query
    wanted = _filter(query)
    resumed = header(call.request, "Last-Event-ID", CURSOR)
    if prefers(call.request.headers.getall("Accept", ()), SSE_TYPE, JSON_TYPE):
        cursor = after if resumed is None else int(resumed)
        # refuses an unknown shop or a foreign cursor while a status can still be sent
        page = await call.services.queries.events(cursor, 1, wanted, feed=query.feed)
        return await stream(
            call.request, SSE_TYPE, _frames(call, cursor, wanted, page.feed), headers={FEED_HEADER: page.feed}
        )
    page = await call.services.queries.events(after, query.limit, wanted, query.wait, query.feed, query.include)
    admit(call.request)  # a session may have ended while an event was waited for
    events = b",".join(event.text for event in page.events)
    return json_answer(b'{"events":[%b],"next":%d,"feed":%b}' % (events, page.next, to_json(page.feed)))


def _filter(query: FeedQuery) -> EventFilter:
    return EventFilter(shop=query.shop, order=query.order, types=query.type)


async def _frames(call: Call[FeedQuery], cursor: int, wanted: EventFilter, feed_id: str) -> AsyncGenerator[bytes, None]:
    yield b"retry: 2000\n: feed %b\n\n" % feed_id.encode()
    feed = call.services.feed
    while True:
        try:
            page = await call.services.queries.events(
                cursor, call.query.limit, wanted, KEEP_ALIVE_SECONDS, include=call.query.include
            )
        except Refused:  # another feed took this one's place: whoever comes again is refused with a status
            return
        cursor = page.next
        if page.feed != feed_id or not is_admitted(call.request):
            return
        if page.events:
            yield b"".join(
                b"id: %d\nevent: %b\ndata: %b\n\n" % (event.cursor, event.type.encode(), event.text)
                for event in page.events
            )
        else:
            yield b": keep-alive\n\n"
        if feed.is_closed and not page.events:
            return
