"""As much of GraphQL as documents of one operation need: parse it, fill its variables in, answer only what it asks for.

Written by hand so that the sandbox runs without a GraphQL library; tests hold the documents against the real schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from orchestrator.sandbox.shopify.paging import MOST_NODES, BadPage, page_of

Json: TypeAlias = Any

_TOKEN = re.compile(r'\s*(?:#[^\n]*\s*)*(?P<token>\.\.\.|[{}()\[\]:!=@,]|\$?\w+|"(?:[^"\\]|\\.)*"|-?\d+)\s*,?')
FRAGMENT = "..."
_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None}


class BadDocument(ValueError):
    """The document is not GraphQL, or not in the part of it that is understood here; the message is the answer's."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field that was asked for, with its arguments and what of its value is wanted.

    An inline fragment is one called `...` whose `fields` are selected from values of the type `arguments["on"]`.
    """

    name: str
    arguments: dict[str, Json]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One operation. `name` is its own name, `is_mutation` its kind, `root` its fields."""

    name: str
    is_mutation: bool
    root: tuple[Field, ...]


class Unshaped(dict[str, Json]):
    """An object that is answered whole, whatever was asked for: a payload that no client can read."""


def parse(text: str, variables: Mapping[str, Json]) -> Document:
    """The operation in `text`. Raises BadDocument."""
    return _Parser(_tokens(text), variables).document()


def project(value: Json, fields: tuple[Field, ...], most_nodes: int = MOST_NODES) -> Json:
    """What the selection asks of a value, no page of it longer than `most_nodes`. Raises BadDocument for a field that
    the value does not have, and for a page that there cannot be."""
    if isinstance(value, list):
        return [project(each, fields, most_nodes) for each in value]
    if not isinstance(value, dict) or isinstance(value, Unshaped) or not fields:
        return value
    shown: dict[str, Json] = {}
    for field in fields:
        if field.name == FRAGMENT:
            if value.get("__typename", field.arguments["on"]) == field.arguments["on"]:
                shown |= project(value, field.fields, most_nodes)
            continue
        if field.name not in value:
            raise BadDocument(f"Field '{field.name}' doesn't exist")
        try:
            page = page_of(value[field.name], field.arguments, most_nodes)
        except BadPage as error:
            raise BadDocument(f"Field '{field.name}': {error}") from None
        shown[field.name] = project(page, field.fields, most_nodes)
    return shown


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadDocument(f"syntax error, unexpected {text[at : at + 10]!r}")
        found.append(match["token"])
        at = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[str], variables: Mapping[str, Json]) -> None:
        self._tokens = tokens
        self._at = 0
        self._variables = variables

    def document(self) -> Document:
        kind = self._take()
        if kind not in ("query", "mutation"):
            raise BadDocument(f"syntax error, unexpected {kind!r}")
        name = self._take() if self._peek() not in ("{", "(") else ""
        if self._peek() == "(":
            self._skip_brackets()
        return Document(name, kind == "mutation", self._fields())

    def _fields(self) -> tuple[Field, ...]:
        self._take("{")
        fields: list[Field] = []
        while self._peek() != "}":
            field, is_wanted = self._field()
            if is_wanted:
                fields.append(field)
        self._take("}")
        return tuple(fields)

    def _field(self) -> tuple[Field, bool]:
        name, is_wanted = self._take(), True
        arguments: dict[str, Json] = {}
        if name == FRAGMENT:
            self._take("on")
            arguments = {"on": self._take()}
        elif self._peek() == "(":
            arguments = self._arguments()
        while self._peek() == "@":
            self._take("@")
            directive, condition = self._take(), self._arguments()
            if directive in ("include", "skip"):
                is_wanted = is_wanted and condition.get("if") is (directive == "include")
        fields = self._fields() if self._peek() == "{" else ()
        return Field(name, arguments, fields), is_wanted

    def _arguments(self) -> dict[str, Json]:
        self._take("(")
        arguments: dict[str, Json] = {}
        while self._peek() != ")":
            name = self._take()
            self._take(":")
            arguments[name] = self._value()
        self._take(")")
        return arguments

    def _value(self) -> Json:
        token = self._take()
        if token.startswith("$"):
            return self._variables.get(token[1:])
        if token.startswith('"'):
            return token[1:-1]
        if token.lstrip("-").isdecimal():
            return int(token)
        return _WORDS.get(token, token)

    def _skip_brackets(self) -> None:
        depth = 0
        while True:
            token = self._take()
            depth += {"(": 1, ")": -1}.get(token, 0)
            if depth == 0:
                return

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, wanted: str | None = None) -> str:
        token = self._peek()
        if not token or (wanted is not None and token != wanted):
            raise BadDocument(f"syntax error, unexpected {token or 'end of file'!r}")
        self._at += 1
        return token
