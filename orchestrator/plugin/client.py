"""What the client of a platform is made of (`orchestrator.plugin`)."""

from __future__ import annotations

from yarl import URL

from orchestrator.platforms.base.access import Access, Tokens
from orchestrator.platforms.base.calls import by_status, json_body
from orchestrator.platforms.base.graphql import GraphQlClient
from orchestrator.platforms.base.listing import Listing, array_listing, listing_of, single_of, thin_listing, with_count
from orchestrator.platforms.base.offset import by_pages, walk_page
from orchestrator.platforms.base.options import is_header_safe
from orchestrator.platforms.base.pushing import PushingRestClient
from orchestrator.platforms.base.rest import Probe, RestClient
from orchestrator.platforms.client import (
    Age,
    Finding,
    OrderSnapshot,
    Page,
    PlatformClient,
    RemembersRefusal,
    RenewsAccess,
    StepAnswer,
    UnreadableItem,
)
from orchestrator.platforms.content import (
    NOTHING_APART,
    Apart,
    boolean,
    decimal,
    digest,
    each_of,
    fraction,
    given,
    instant,
    minus,
    price,
    rows,
    sum_of,
    text,
    texts,
)
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Rejected,
    Transient,
    Unreadable,
)
from orchestrator.platforms.field_map import FieldMap, FieldName, merged
from orchestrator.platforms.fields import (
    InvalidOrder,
    at,
    id_of,
    instant_ms,
    object_of,
    of_one_order,
    optional_ms,
    order_number,
    payload_of,
    quantity,
    required_text,
    seconds_of,
    text_id_of,
    text_id_or_none,
)
from orchestrator.platforms.horizon import Present
from orchestrator.platforms.http import Answer, Caller, date_ms
from orchestrator.platforms.json_text import decoded, elements, member_text, members, read_object, read_value
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.token_file import TokenFile
from orchestrator.platforms.token_keeper import TokenKeeper, TokenSource, renewal_time

__all__ = [
    "NOTHING_APART",
    "URL",
    "Access",
    "AccessDenied",
    "Age",
    "Answer",
    "Apart",
    "Caller",
    "ClientSettings",
    "FieldMap",
    "FieldName",
    "Finding",
    "GraphQlClient",
    "InvalidOrder",
    "Listing",
    "NotFound",
    "OrderSnapshot",
    "OutOfSequence",
    "Page",
    "PlatformClient",
    "PlatformFailure",
    "Present",
    "Probe",
    "PushingRestClient",
    "Rejected",
    "RemembersRefusal",
    "RenewsAccess",
    "RestClient",
    "StepAnswer",
    "TokenFile",
    "TokenKeeper",
    "TokenSource",
    "Tokens",
    "Transient",
    "Unreadable",
    "UnreadableItem",
    "array_listing",
    "at",
    "boolean",
    "by_pages",
    "by_status",
    "date_ms",
    "decimal",
    "decoded",
    "digest",
    "each_of",
    "elements",
    "fraction",
    "given",
    "id_of",
    "instant",
    "instant_ms",
    "is_header_safe",
    "json_body",
    "listing_of",
    "member_text",
    "members",
    "merged",
    "minus",
    "object_of",
    "of_one_order",
    "optional_ms",
    "order_number",
    "payload_of",
    "price",
    "quantity",
    "read_object",
    "read_value",
    "renewal_time",
    "required_text",
    "rows",
    "seconds_of",
    "single_of",
    "sum_of",
    "text",
    "text_id_of",
    "text_id_or_none",
    "texts",
    "thin_listing",
    "walk_page",
    "with_count",
]
