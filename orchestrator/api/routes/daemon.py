"""Calls about the daemon, and what a browser needs."""

from __future__ import annotations

from typing import Final

from orchestrator.api.answers import JSON_TYPE, NDJSON_TYPE
from orchestrator.api.handlers import daemon, machines, session
from orchestrator.api.route import Answer, RequestBody, Route
from orchestrator.api.routes.problems import CHANGE, STORE
from orchestrator.api.schema import bodies as requests
from orchestrator.api.schema import queries as parameters
from orchestrator.operations import documents

_DRAWN = {"text/vnd.mermaid": None, "image/svg+xml": None, "text/plain": None}


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET",
        "/v1/machines",
        "listMachines",
        "Machines",
        "The state machine of every platform, as data or drawn",
        machines.list_machines,
        {200: Answer("The machines in the format that was asked for", {JSON_TYPE: documents.MachineList, **_DRAWN})},
        STORE,
        query=parameters.MachinesQuery,
    ),
    Route(
        "GET",
        "/v1/machines/{platform}",
        "readMachine",
        "Machines",
        "One platform's state machine, as data or drawn",
        machines.read_machine,
        {
            200: Answer(
                "The machine in the format that was asked for",
                {JSON_TYPE: documents.Machine, **_DRAWN},
            )
        },
        ("platform-not-found", "shop-not-found", *STORE),
        query=parameters.MachineQuery,
    ),
    Route(
        "GET",
        "/v1/health",
        "readHealth",
        "Daemon",
        "Alive",
        daemon.health,
        {200: Answer.json("The daemon lives", documents.Health)},
        STORE,
    ),
    Route(
        "GET",
        "/v1/ready",
        "readReadiness",
        "Daemon",
        "Start-up is done and the storage takes writes",
        daemon.ready,
        {200: Answer.json("The daemon works", documents.Ready)},
        CHANGE,
    ),
    Route(
        "GET",
        "/v1/status",
        "readStatus",
        "Daemon",
        "The status dump",
        daemon.status,
        {200: Answer.json("What the daemon does right now", documents.Status)},
        STORE,
    ),
    Route(
        "GET",
        "/v1/history",
        "readHistory",
        "Daemon",
        "What was done in each minute of the last day, or in each hour of the last 90 days",
        daemon.history,
        {200: Answer.json("The minutes or hours, oldest first", documents.History)},
        ("shop-not-found", *STORE),
        query=parameters.HistoryQuery,
    ),
    Route(
        "GET",
        "/v1/dump",
        "readDump",
        "Daemon",
        "Everything as NDJSON: shops, then orders with all their targets and events",
        daemon.dump,
        {200: Answer("One JSON object a line; `kind` is `shop` or `order`", {NDJSON_TYPE: None})},
        STORE,
        query=parameters.DumpQuery,
    ),
    Route(
        "GET",
        "/metrics",
        "readMetrics",
        "Daemon",
        "Metrics for Prometheus",
        daemon.metrics,
        {200: Answer("Prometheus' text format", {"text/plain": None})},
        STORE,
    ),
    Route(
        "GET",
        "/openapi.json",
        "readOpenApi",
        "Daemon",
        "This document",
        daemon.openapi,
        {200: Answer("OpenAPI 3.1", {JSON_TYPE: None})},
        STORE,
    ),
    Route(
        "GET",
        "/v1/session",
        "readSession",
        "Daemon",
        "How a browser's page is let in, and what it has to send with changes",
        session.read_session,
        {200: Answer.json("The session", documents.Session)},
        STORE,
    ),
    Route(
        "POST",
        "/v1/session",
        "logIn",
        "Daemon",
        "Log a browser in by the token of api.tcp: the session is a cookie",
        session.log_in,
        {200: Answer.json("The session", documents.Session)},
        ("too-many-attempts", *STORE),
        body=RequestBody(requests.LoginBody, {"token": "some-long-text"}),
    ),
    Route(
        "DELETE",
        "/v1/session",
        "logOut",
        "Daemon",
        "Log a browser out",
        session.log_out,
        {200: Answer.json("The session is no more", documents.Session)},
        STORE,
    ),
    Route(
        "GET",
        "/",
        "readDashboard",
        "Daemon",
        "The dashboard, for people; a browser without a session gets it with 401, to log in",
        daemon.show_dashboard,
        {200: Answer("A page", {"text/html": None})},
    ),
)
