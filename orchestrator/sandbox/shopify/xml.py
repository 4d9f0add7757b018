"""Webhook bodies as XML, for subscriptions that someone made with that format (shopify.md §2.5)."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from orchestrator.sandbox.shopify.orders import Json

_TYPES: tuple[tuple[type, str], ...] = ((bool, "boolean"), (int, "integer"), (list, "array"))


def xml_of(topic: str, body: Json) -> bytes:
    """The body as Rails writes XML: dashes in names, types as attributes; the root is named by the topic's area."""
    root = Element(_singular(topic.partition("/")[0]))
    _fill(root, body)
    raw: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return raw


def _fill(element: Element, value: Json) -> None:
    for kind, name in _TYPES:
        if isinstance(value, kind):
            element.set("type", name)
            break
    if isinstance(value, dict):
        for name, inner in value.items():
            _fill(SubElement(element, name.replace("_", "-")), inner)
    elif isinstance(value, list):
        for inner in value:
            _fill(SubElement(element, _singular(element.tag)), inner)
    elif value is None:
        element.set("nil", "true")
    else:
        element.text = str(value).lower() if isinstance(value, bool) else str(value)


def _singular(name: str) -> str:
    return name.replace("_", "-").removesuffix("s")
