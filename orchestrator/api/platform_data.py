"""`platform_data` of a target: what its platform alone has, checked and described by the platform's own model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pydantic import BaseModel

from orchestrator.api.problems import Invalid
from orchestrator.api.services import Services
from orchestrator.api.validation import errors_of
from orchestrator.registry import PLATFORMS
from statemachines.target import TargetRequest

MEMBER = "platform_data"


def with_platform_data(services: Services, shop: str, request: TargetRequest) -> TargetRequest:
    """The request with its `platform_data` as the shop's platform takes it. On a platform that takes none it is left as
    it is, and reported as unused. Raises Invalid with every error."""
    if request.platform_data is None:
        return request
    facts = services.node.shops().get(shop)
    platform = None if facts is None else PLATFORMS.get(facts.platform)
    fields = None if platform is None else platform.target_fields
    if fields is None:
        return request
    try:
        checked = fields.model_validate(dict(request.platform_data))
    except ValueError as error:
        raise Invalid("invalid-target", errors_of(error, request.platform_data, fields, MEMBER)) from None
    return replace(request, platform_data=checked.model_dump(mode="json", by_alias=True, exclude_unset=True))


def models() -> Iterator[tuple[str, type[BaseModel]]]:
    """Each platform that takes `platform_data`, by title, and the model of it."""
    for platform in PLATFORMS.values():
        if platform.target_fields is not None:
            yield platform.title, platform.target_fields
