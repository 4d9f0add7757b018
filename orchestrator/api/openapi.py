"""The OpenAPI 3.1 document, made from the table of routes, the models of requests and the types of answers.

Nothing is described twice: what a parameter or body may be comes from the model that refuses everything else, what an
answer is from the type that its view returns, what an error may be from the route's slugs. Tests fuzz the API from this
document, so it has to stay true.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter

from orchestrator import __version__
from orchestrator.api import platform_data
from orchestrator.api.answers import JSON_TYPE, NDJSON_TYPE
from orchestrator.api.problems import PROBLEM_TYPE, STATUS_BY_SLUG, TITLE_BY_SLUG, HttpProblem
from orchestrator.api.route import Answer, HeaderParameter, RequestBody, Route
from orchestrator.api.routes import ROUTES
from orchestrator.api.routes.problems import BODY, EVERYWHERE
from orchestrator.api.schema.bodies import BulkLine, TargetBody
from orchestrator.api.schema.fields import CONSUMER_NAME, LONGEST_ID, PLAIN
from orchestrator.api.schema.queries import Query
from orchestrator.operations.writing import to_json
from orchestrator.registry import PLATFORMS

_MODE: Final = "validation"
_REFERENCE = "#/components/schemas/{model}"

_TEXT = {"type": "string", "minLength": 1}
_PATH_PARAMETERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "shop": (_TEXT, "A shop's name, as in the config", "acme"),
    "id": ({**_TEXT, "maxLength": LONGEST_ID, "pattern": PLAIN}, "The platform's own id", "67890"),
    "target": (
        {**_TEXT, "maxLength": LONGEST_ID, "pattern": PLAIN},
        "A target's id",
        "0199a8f0-7c1e-7d2a-9b1f-0d4c5e6f7a8b",
    ),
    "job": (
        {**_TEXT, "maxLength": LONGEST_ID, "pattern": PLAIN},
        "A job's id",
        "0199a8f0-7c1e-7d2a-9b1f-0d4c5e6f7a8c",
    ),
    "name": ({"type": "string", "pattern": CONSUMER_NAME}, "A name that the consumer chooses", "erp"),
    "platform": (_TEXT, "A platform's name", next(iter(PLATFORMS))),
}

OWN_PROBLEMS: Final = "x-problem-types"
"""The extension of an answer with the problems that this one call has: fewer than the schema of its status names."""

_DESCRIPTION = """\
Order fulfilment between one ERP and many shop platforms, on a Unix socket
(`curl --unix-socket fulfilld.sock http://localhost/v1/status`) and, where configured, on loopback TCP, where every call
needs `Authorization: Bearer`. Times are RFC 3339 UTC with `Z`, ids are strings. Unknown request members and parameters
are errors, unknown answer members must be ignored. Errors are RFC 9457 problems; `type` is a stable slug. HEAD answers
as GET does, without the body. Requests that a browser sends for a page from elsewhere are refused."""


@cache
def openapi_text() -> bytes:
    """The document as it is served, made once a process, and only where somebody asks for it."""
    return to_json(openapi_document())


def openapi_document() -> dict[str, Any]:
    """The document as JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fulfilld",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": group} for group in dict.fromkeys(route.group for route in ROUTES)],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "Over TCP only: the token of api.tcp"},
                "basic": {"type": "http", "scheme": "basic", "description": "For browsers: the token as password"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    security: list[dict[str, list[str]]] = [{}, {"bearer": []}]
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.group],
        "summary": route.summary,
        "security": [*security, {"basic": []}] if route.method == "GET" else security,
        "responses": _responses(route),
    }
    if parameters := [*_path_parameters(route), *_query_parameters(route.query), *map(_header, route.headers)]:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = _request_body(route.body)
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    found = []
    for name in re.findall(r"{(\w+)}", route.path):
        schema, description, example = _PATH_PARAMETERS[name]
        found.append(
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": description,
                "schema": schema,
                "example": example,
            }
        )
    return found


def _query_parameters(model: type[Query]) -> list[dict[str, Any]]:
    found = []
    for name, schema in model.model_json_schema().get("properties", {}).items():
        shape = _tidy(schema)
        options = [option for option in shape.pop("anyOf", ()) if option.get("type") != "null"]
        for option in options:
            shape.update(option)
        default = shape.get("default")
        if default in (None, [], ()) or (shape.get("type") == "string" and not isinstance(default, str)):
            shape.pop("default", None)  # the internal default for absence cannot be sent as a value
        description = shape.pop("description", "")
        found.append({"name": name, "in": "query", "description": description, "schema": shape})
    return found


def _header(header: HeaderParameter) -> dict[str, Any]:
    return {
        "name": header.name,
        "in": "header",
        "description": header.description,
        "schema": {"type": "string", "pattern": header.pattern},
        "example": header.example,
    }


def _request_body(body: RequestBody) -> dict[str, Any]:
    reference = {"$ref": _REFERENCE.format(model=body.model.__name__)}
    content: dict[str, Any] = {JSON_TYPE: {"schema": reference, "example": body.example}}
    description = "JSON, with its `Content-Type`: that of a form, or none, is refused"
    if body.media_type == NDJSON_TYPE:
        # OpenAPI 3.1 has no words for a sequence of JSON texts; a line is described where a person looks for it
        lines = {"schema": {"type": "string"}, "example": json.dumps(body.example) + "\n"}
        # no schema for the single line either: what is wrong with it stands in the answer's line, never by the status
        content = {NDJSON_TYPE: lines, JSON_TYPE: {"schema": {}, "example": body.example}}
        description = (
            f"One JSON object a line, at most 1 MiB each, as `{body.model.__name__}` has it; `{JSON_TYPE}` is taken for"
            " a single line. The `Content-Type` of a form, or none, is refused"
        )
    return {"required": body.is_required, "description": description, "content": content}


def _responses(route: Route) -> dict[str, Any]:
    responses = {str(status): _success(answer) for status, answer in sorted(route.answers.items())}
    by_status: dict[int, list[str]] = {}
    of_body = () if route.method == "GET" or route.has_lines else BODY
    for slug in dict.fromkeys((*EVERYWHERE, *of_body, *route.slugs)):
        by_status.setdefault(STATUS_BY_SLUG[slug], []).append(slug)
    for status, slugs in sorted(by_status.items()):
        responses[str(status)] = _problem(status, slugs)
    return responses


def _success(answer: Answer) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for media_type in answer.content:
        shown = [{"$ref": _REFERENCE.format(model=model.__name__)} for model in answer.documents(media_type)]
        if shown:
            content[media_type] = {"schema": shown[0] if len(shown) == 1 else {"anyOf": shown}}
        else:
            content[media_type] = {"schema": {} if media_type.endswith("/json") else {"type": "string"}}
    return {"description": answer.meaning, "content": content}


def _problem(status: int, slugs: list[str]) -> dict[str, Any]:
    schema = {"$ref": _REFERENCE.format(model=_problem_name(status))}
    meanings = "; ".join(f"`{slug}`: {TITLE_BY_SLUG[slug].lower()}" for slug in slugs)
    found: dict[str, Any] = {
        "description": meanings,
        "content": {PROBLEM_TYPE: {"schema": schema}},
        OWN_PROBLEMS: slugs,
    }
    if status in (429, 503):
        seconds = {"type": "integer", "minimum": 1}
        found["headers"] = {"Retry-After": {"description": "Seconds", "required": True, "schema": seconds}}
    if status == 405:
        found["headers"] = {"Allow": {"required": True, "schema": {"type": "string"}}}
    if status == 415:
        encodings = {"description": "Content codings that are read, where the body's is not"}
        found["headers"] = {"Accept-Encoding": {**encodings, "schema": {"type": "string"}}}
    if status == 401:
        found["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"type": "string"}}}
    return found


def _schemas() -> dict[str, Any]:
    shown: list[type] = [HttpProblem]
    for route in ROUTES:
        for answer in route.answers.values():
            shown += [model for media_type in answer.content for model in answer.documents(media_type)]
        if route.body is not None:
            shown.append(route.body.model)
    own = dict(platform_data.models())
    keys, made = TypeAdapter.json_schemas(
        [(each, _MODE, TypeAdapter(each)) for each in dict.fromkeys([*shown, *own.values()])], ref_template=_REFERENCE
    )
    schemas = {name: _tidy(schema) for name, schema in made["$defs"].items()}
    if own:
        shapes = [{"title": title, **keys[model, _MODE]} for title, model in own.items()]
        for name in (TargetBody.__name__, BulkLine.__name__):
            schemas[name]["properties"][platform_data.MEMBER]["anyOf"] += shapes
    return {**schemas, **_problem_schemas(schemas[HttpProblem.__name__])}


def _problem_name(status: int) -> str:
    return f"Problem{status}"


def _problem_schemas(general: dict[str, Any]) -> dict[str, Any]:
    """The problems of each status. They are whole schemas with names: generators make one class of each, and can make
    nothing of a reference that a call narrows."""
    found: dict[str, Any] = {}
    answered = {slug for route in ROUTES for slug in route.slugs} | {*EVERYWHERE, *BODY}
    for status in sorted({STATUS_BY_SLUG[slug] for slug in answered}):
        slugs = [slug for slug, of in STATUS_BY_SLUG.items() if of == status]
        own = {"type": {"type": "string", "enum": slugs}, "status": {"type": "integer", "const": status}}
        found[_problem_name(status)] = {**general, "properties": {**general["properties"], **own}}
    return found


def _tidy(schema: Any) -> Any:
    """Without what pydantic adds and no generator is helped by: titles made of names, which say nothing new, and null
    as the default of members that may be absent, which makes some of them ask for every member."""
    if isinstance(schema, dict):
        return {
            name: _tidy(value)
            for name, value in schema.items()
            if not (name == "title" and isinstance(value, str)) and not (name == "default" and value is None)
        }
    return [_tidy(value) for value in schema] if isinstance(schema, list) else schema
