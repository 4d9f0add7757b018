"""The config as JSON Schema (2020-12), for editors and for checks before a deployment.

Made from the same models that the loader uses. Two things are added: every text may be a reference, and which keys a
shop takes follows from its `platform`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from orchestrator.config.load import SHOP_NAME
from orchestrator.config.model import ConfigFile, ShopSettings
from orchestrator.registry import PLATFORMS

_REFERENCE = {
    "description": "A value that stands in an environment variable or in a file",
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "env": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "file": {"type": "string", "minLength": 1},
    },
}
_TO_REFERENCE = {"$ref": "#/$defs/Reference"}


def json_schema() -> dict[str, Any]:
    """The schema of a config file. It holds no value of any config."""
    models: list[type[BaseModel]] = [ConfigFile, ShopSettings, *(spec.options for spec in PLATFORMS.values())]
    by_model, shared = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/$defs/{model}", by_alias=True
    )
    definitions = {name: _with_references(schema) for name, schema in shared["$defs"].items()}
    names = {model: by_model[model, "validation"]["$ref"].rpartition("/")[2] for model in models}
    top, common = definitions.pop(names[ConfigFile]), definitions.pop(names[ShopSettings])
    common["properties"]["platform"] = {
        "description": common["properties"]["platform"]["description"],
        "anyOf": [{"enum": list(PLATFORMS)}, _TO_REFERENCE],
    }
    branches = []
    for name, spec in PLATFORMS.items():
        own = definitions.pop(names[spec.options])
        if spec.default_base_url is None:
            own["required"] = [*own.get("required", []), "base_url"]
        definitions[f"{name}-shop"] = _merged(common, own)
        branches.append(
            {
                "if": {"required": ["platform"], "properties": {"platform": {"const": name}}},
                "then": {"$ref": f"#/$defs/{name}-shop"},
            }
        )
    definitions |= {
        "Reference": _REFERENCE,
        "Shop": {"type": "object", "required": ["platform"], "properties": common["properties"], "allOf": branches},
    }
    top["properties"]["shops"] = {
        "description": "The shops by name",
        "type": "object",
        "default": {},
        "propertyNames": {"pattern": f"^{SHOP_NAME}$"},
        "additionalProperties": {"$ref": "#/$defs/Shop"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **top,
        "title": "fulfilld config",
        "description": "Lines that begin with // are comments to fulfilld, not to JSON.",
        "$defs": definitions,
    }


def _merged(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """One closed object with the keys of both; `additionalProperties` cannot look across an `allOf`."""
    return own | {
        "properties": common["properties"] | own.get("properties", {}),
        "required": [*common.get("required", []), *own.get("required", [])],
        "additionalProperties": False,
    }


def _with_references(schema: Any) -> Any:
    """The schema, with a reference allowed wherever it wants text."""
    if isinstance(schema, list):
        return [_with_references(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "string":
        about = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        return about | {"anyOf": [{key: value for key, value in schema.items() if key not in about}, _TO_REFERENCE]}
    # What a default or an enumeration holds is data, no schema.
    return {key: value if key in ("default", "enum") else _with_references(value) for key, value in schema.items()}
