"""What there is to say about one call: enough to route it, check it, and describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from orchestrator.api.answers import JSON_TYPE, NDJSON_TYPE
from orchestrator.api.call import Handler
from orchestrator.api.schema.queries import Query

Group = Literal[
    "Orders", "Jobs", "Targets", "Events", "Shops", "Products", "Delivery", "Rejected", "Machines", "Daemon"
]


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: what it means, and its content by media type (a document, several of which one is answered,
    or None for other text)."""

    meaning: str
    content: Mapping[str, type | tuple[type, ...] | None]

    @classmethod
    def json(cls, meaning: str, document: type) -> Answer:
        """An answer of one document."""
        return cls(meaning, {JSON_TYPE: document})

    def documents(self, media_type: str) -> tuple[type, ...]:
        """What may be answered in a media type, as documents."""
        content = self.content[media_type]
        return () if content is None else content if isinstance(content, tuple) else (content,)


@dataclass(frozen=True, slots=True)
class RequestBody:
    """What a call takes as its body."""

    model: type[BaseModel]
    example: Any
    media_type: str = JSON_TYPE
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class HeaderParameter:
    """A header that a call reads."""

    name: str
    pattern: str
    description: str
    example: str


@dataclass(frozen=True, slots=True)
class Route:
    """One call. `is_change`: it is refused while the daemon shuts down."""

    method: str
    path: str
    name: str
    group: Group
    summary: str
    handler: Handler
    answers: Mapping[int, Answer]
    slugs: tuple[str, ...] = ()
    query: type[Query] = Query
    headers: tuple[HeaderParameter, ...] = ()
    body: RequestBody | None = None
    is_change: bool = False

    @property
    def has_lines(self) -> bool:
        """Whether the body is read line by line while it is answered, so that a bad line fails alone."""
        return self.body is not None and self.body.media_type == NDJSON_TYPE

    @property
    def takes_nothing(self) -> bool:
        """Whether a body would be a mistake: a change that has none to describe. Reading calls never read a body."""
        return self.body is None and self.method not in ("GET", "HEAD")
