"""From pydantic's complaints to lines for a person: where, what is wrong, what to do, and no secret.

A value is shown only where that is safe beyond doubt: numbers, true and false of keys that are not secret, and short
text of keys that take one of a few values. Text of any other key may be a token that was pasted into the wrong line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from orchestrator.config.problems import Path, quoted
from statemachines.suggestion import hint, nearest

_LONGEST_SHOWN = 24
_SHORTEST_GUARDED = 6
PATTERNS = {
    r"\S": "must not be blank",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "must be a name: letters, digits and underscores, not beginning with a digit",
    r"^[A-Za-z0-9_-]{3,255}\.[A-Za-z0-9_-]{2,64}$": "must be a namespace and a key such as custom.erp_order_number",
    r"^(20[0-9]{2}-(01|04|07|10)|unstable)$": "must be the first month of a quarter such as 2026-10, or unstable",
}
"""What the patterns of all models mean; one without a sentence here is shown as it is."""
_LENGTHS = {
    "string_too_long": ("at most", "max_length", "characters"),
    "too_long": ("at most", "max_length", "entries"),
    "too_short": ("at least", "min_length", "entries"),
}
_TYPES = {
    "string": "text in quotes",
    "path": "text in quotes",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "model": "an object in { }",
    "dict": "an object in { }",
    "list": "a list in [ ]",
    "tuple": "a list in [ ]",
}
_UNQUOTED = {
    "int": re.compile(r"-?[0-9]+"),
    "float": re.compile(r"-?[0-9]+(\.[0-9]+)?"),
    "bool": re.compile(r"true|false"),
}
"""What needs nothing but to lose its quotes."""
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
}


class Complaint(NamedTuple):
    """Where (below what was checked), what is wrong, and whether it is the key itself, whatever its value."""

    path: Path
    message: str
    is_about_key: bool


def explain(
    error: ValidationError, model: type[BaseModel], tree: Any, borrowed: set[Path], also_known: Iterable[str] = ()
) -> Iterator[Complaint]:
    """Each complaint of `model` about `tree`.

    `borrowed`: paths whose value came from a variable or a file; `also_known`: further keys to suggest at the top.
    """
    known_at_top = [*keys_of(model), *also_known]
    for details in error.errors(include_input=False, include_url=False):
        path = _real_path(details, tree)
        message = _message(details, path, model, tree, borrowed, known_at_top)
        yield Complaint(path, message, details["type"] == "extra_forbidden")


def holds_secret(annotation: Any) -> bool:
    """Whether a value of this type is or may contain a secret."""
    if annotation in (SecretStr, SecretBytes):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(holds_secret(field.annotation) for field in annotation.model_fields.values())
    return any(holds_secret(part) for part in get_args(annotation))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field of this type may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that a model takes, as they are written."""
    return [field.alias or name for name, field in model.model_fields.items()]


def no_key_of_any(name: str, known: Iterable[str], common: Iterable[str]) -> str:
    """What to say about a key that none of several models has, where it is open which of them is meant.

    `known`: the keys of all of them; `common`: those that each has.
    """
    return unknown_key(name, known if nearest(name, known) is not None else common)


def unknown_key(name: str, known: Iterable[str]) -> str:
    """What to say about a key that does not exist."""
    names = sorted(known)
    if (found := nearest(name, names)) is not None:
        return f'unknown key - did you mean "{found}"?'
    return f"unknown key - known here: {', '.join(names)}"


def one_of(found: str | None, allowed: Iterable[str]) -> str:
    """What to say about a value that is not one of the allowed ones; `found` None: it must not be shown."""
    names = list(allowed)
    is_shown = found is not None and len(found) <= _LONGEST_SHOWN
    shown = f", not {quoted(found)}{hint(found, names, ' - ')}" if found is not None and is_shown else ""
    return f"must be one of {', '.join(map(quoted, names))}{shown}"


def _message(
    details: ErrorDetails, path: Path, model: type[BaseModel], tree: Any, borrowed: set[Path], known_at_top: list[str]
) -> str:
    kind, context = details["type"], details.get("ctx", {})
    field = _field(model, path)
    is_borrowed = path in borrowed
    shown = "" if is_borrowed else _shown(_value(tree, path), field)
    match kind:
        case "missing":
            return _missing(field)
        case "extra_forbidden":
            parent = _model(model, path[:-1])
            return unknown_key(str(path[-1]), known_at_top if len(path) == 1 else keys_of(parent) if parent else ())
        case "literal_error" if field is not None:
            value = _value(tree, path)
            is_shown = isinstance(value, str) and not is_borrowed and not holds_secret(field.annotation)
            return one_of(value if is_shown else None, _words(field.annotation))
        case "value_error":
            holder = _field(model, path[:-1]) if path and isinstance(path[-1], int) else field
            is_guarded = is_borrowed or holder is None or holds_secret(holder.annotation)
            return _own_words(str(context["error"]), _value(tree, path) if is_guarded else None)
        case "int_from_float":
            return f"must be a whole number{shown}"
        case "string_pattern_mismatch":
            return PATTERNS.get(context["pattern"], f"must match the pattern {context['pattern']}")
        case "finite_number":
            return "must be a finite number"
        case "string_too_short":
            return "must not be empty" if context["min_length"] == 1 else f"is shorter than {context['min_length']}"
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        limit = context[name]
        return f"must be {words} {int(limit) if limit == int(limit) else limit}{shown}"
    base, _, suffix = kind.rpartition("_")
    if suffix in ("type", "parsing") and base in _TYPES:
        remedy = _remedy(base, _value(tree, path), field, is_borrowed=is_borrowed)
        return f"must be {_TYPES[base]}{shown}{remedy}"
    if kind in _LENGTHS:
        words, name, what = _LENGTHS[kind]
        return f"must have {words} {context[name]} {what}"
    return f"is not valid ({kind.replace('_', ' ')})"


def _own_words(message: str, value: Any) -> str:
    """What a validator raised. Ours and the platforms' promise not to repeat the value; this makes sure of it."""
    return "is not valid" if any(text in message for text in _texts(value)) else message


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str() if len(value) >= _SHORTEST_GUARDED:
            yield value
        case Mapping():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)
        case _:
            return


def _missing(field: FieldInfo | None) -> str:
    if field is None:
        return "is missing - add it"
    if holds_secret(field.annotation):
        return 'is missing - add it, best as {"env": "NAME"} or {"file": "PATH"}'
    return f"is missing - add it ({field.description})" if field.description else "is missing - add it"


def _remedy(base: str, value: Any, field: FieldInfo | None, *, is_borrowed: bool) -> str:
    if is_borrowed:
        return " - a variable or a file gives text only, so write the value here"
    if base == "string":
        return ', or {"env": "NAME"} or {"file": "PATH"}'
    if base not in _UNQUOTED or not isinstance(value, str):
        return ""
    if _UNQUOTED[base].fullmatch(value.strip()):
        return " - write it without quotes"
    return "" if base == "bool" else f", such as {_example(base, field)}"


def _example(base: str, field: FieldInfo | None) -> str:
    """A number that may stand there: the default where there is one."""
    default = None if field is None else field.default
    if isinstance(default, int | float):
        return f"{default:g}" if isinstance(default, float) else str(default)
    return "12345" if base == "int" else "1.5"


def _shown(value: Any, field: FieldInfo | None) -> str:
    if field is None or holds_secret(field.annotation) or not isinstance(value, bool | int | float):
        return ""
    text = json.dumps(value)
    return f", not {text}" if len(text) <= _LONGEST_SHOWN else ""


def _real_path(details: ErrorDetails, tree: Any) -> Path:
    """The location without the names of union members, which pydantic mixes in."""
    path: list[str | int] = []
    node = tree
    for at, part in enumerate(details["loc"]):
        is_key = isinstance(node, Mapping) and part in node
        if is_key or (isinstance(node, list) and isinstance(part, int) and part < len(node)):
            path.append(part)
            node = node[part]
        elif at == len(details["loc"]) - 1 and details["type"] == "missing":
            path.append(part)
    return tuple(path)


def _value(tree: Any, path: Path) -> Any:
    for part in path:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return None
    return tree


def _field(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field that a path names, or None where that is not certain; what is not certain is never shown."""
    if not path:
        return None
    parent = _model(model, path[:-1])
    if parent is None:
        return None
    return next((field for name, field in parent.model_fields.items() if path[-1] in (name, field.alias)), None)


def _model(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    if not path:
        return model
    field = _field(model, path)
    return None if field is None else next(models_in(field.annotation), None)


def _words(annotation: Any) -> list[str]:
    """The allowed values of a Literal, also inside a union."""
    found: list[str] = []
    for part in get_args(annotation):
        found += [part] if isinstance(part, str) else _words(part)
    return found
