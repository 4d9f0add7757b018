"""Calls about targets."""

from __future__ import annotations

from typing import Final

from orchestrator.api.answers import JSON_TYPE, NDJSON_TYPE
from orchestrator.api.handlers import bulk, targets
from orchestrator.api.route import Answer, HeaderParameter, RequestBody, Route
from orchestrator.api.routes.problems import CHANGE, STORE
from orchestrator.api.schema import bodies as requests
from orchestrator.api.schema import queries as parameters
from orchestrator.api.schema.fields import IDEMPOTENCY_KEY
from orchestrator.operations import documents

_TARGET = (
    *("shop-not-found", "order-not-found", "invalid-target", "unknown-state", "unreachable", "not-allowed"),
    *("not-adjacent", "idempotency-key-reused", "platform-unreachable"),
)
_SHIPPED = {"state": "shipped", "tracking": {"code": "3SABC123", "url": "https://track.example/3SABC123"}}


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "POST",
        "/v1/shops/{shop}/orders/{id}/targets",
        "submitTarget",
        "Targets",
        "Submit a target; it is on disk before this answers",
        targets.submit_target,
        {
            200: Answer(
                "With `wait`: the target, reached, blocked, failed or cancelled in time. With `dry_run`: the plan",
                {JSON_TYPE: (documents.Target, documents.Preview)},  # in this sequence: a plan is a part of a target
            ),
            202: Answer.json("Accepted", documents.Target),
        },
        (*_TARGET, *CHANGE),
        query=parameters.SubmitQuery,
        headers=(
            HeaderParameter(
                "Idempotency-Key",
                IDEMPOTENCY_KEY,
                "The same key with the same body answers with the same target",
                "erp-4711-shipped",
            ),
        ),
        body=RequestBody(requests.TargetBody, _SHIPPED),
        is_change=True,
    ),
    Route(
        "POST",
        "/v1/targets",
        "submitTargets",
        "Targets",
        "Submit many targets, one JSON object a line; each line is answered, in order, as it is durable",
        bulk.submit_bulk,
        {
            200: Answer(
                "A line for each line: `{line, status, target}` or `{line, status, problem}`", {NDJSON_TYPE: None}
            )
        },
        ("unsupported-media-type", *CHANGE),
        body=RequestBody(
            requests.BulkLine,
            {"shop": "acme", "order": "67890", "key": "k-1", **_SHIPPED},
            NDJSON_TYPE,
            is_required=False,
        ),
        is_change=True,
    ),
    Route(
        "GET",
        "/v1/targets/{target}",
        "readTarget",
        "Targets",
        "One target; with `wait` once it is reached, blocked, failed or cancelled, or the time is up",
        targets.read_target,
        {200: Answer.json("The target", documents.Target)},
        ("target-not-found", *STORE),
        query=parameters.WaitQuery,
    ),
    Route(
        "DELETE",
        "/v1/targets/{target}",
        "cancelTarget",
        "Targets",
        "Cancel what has not been done of a target",
        targets.cancel_target,
        {200: Answer.json("The target, cancelled", documents.Target)},
        ("target-not-found", "shop-not-found", "order-not-found", "already-finished", *CHANGE),
        is_change=True,
    ),
)
