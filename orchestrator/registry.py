"""Which platforms there are: those built in, a line each, and those that other packages bring.

A package brings a platform by an entry point of the group `fulfilld.platforms`, named as the platform, that leads to a
`Platform`. Nothing of a platform is imported before somebody asks for it, and no package is looked for before a name is
asked for that is not built in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from orchestrator.platforms.platform import Platform

BUILT_IN: Final[Mapping[str, str]] = {
    "selldone": "orchestrator.platforms.selldone:PLATFORM",
    "cloudsuite": "orchestrator.platforms.cloudsuite:PLATFORM",
    "xsale": "orchestrator.platforms.xsale:PLATFORM",
    "shopify": "orchestrator.platforms.shopify:PLATFORM",
    "woocommerce": "orchestrator.platforms.woocommerce:PLATFORM",
}
"""The platforms of this package: a new one is registered here."""

GROUP: Final = "fulfilld.platforms"
"""The group of entry points by which other packages bring platforms."""


API: Final = 1
"""The version of what a platform of another package may rely on."""


def load(place: str) -> Any:
    """What stands at `module:attribute`. Raises ImportError and AttributeError where there is nothing."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def _installed() -> list[EntryPoint]:
    from importlib.metadata import entry_points  # dear to import, and most commands ask for nothing of packages

    return list(entry_points(group=GROUP))


class Registry(Mapping[str, "Platform"]):
    """Platforms by the name that a shop's `platform` key carries, those built in first. One of another package that
    cannot be used is left out; `troubles` says why."""

    def __init__(
        self, built_in: Mapping[str, str] = BUILT_IN, installed: Callable[[], list[EntryPoint]] = _installed
    ) -> None:
        self._built_in = built_in
        self._installed = installed
        self._loaded: dict[str, Platform] = {}

    def __getitem__(self, name: str) -> Platform:
        if name not in self._loaded:
            self._loaded[name] = load(self._built_in[name]) if name in self._built_in else self._brought[0][name][0]
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in self._brought[0]

    def __iter__(self) -> Iterator[str]:
        return iter((*self._built_in, *self._brought[0]))

    def __len__(self) -> int:
        return len(self._built_in) + len(self._brought[0])

    @property
    def troubles(self) -> Mapping[str, str]:
        """Why a platform that a package brings cannot be used, and what to do, by its name."""
        return self._brought[1]

    def origin(self, name: str) -> str | None:
        """The package and version that brings a platform (`platform-vendure 1.2`); None: it is built in."""
        return None if name in self._built_in else _package_of(self._brought[0][name][1])

    @cached_property
    def _brought(self) -> tuple[dict[str, tuple[Platform, EntryPoint]], dict[str, str]]:
        brought: dict[str, tuple[Platform, EntryPoint]] = {}
        troubles: dict[str, str] = {}
        for point in sorted(self._installed(), key=lambda each: (each.name, _package_of(each))):
            whose = "fulfilld itself" if point.name in self._built_in else ""
            if point.name in brought:
                whose = _package_of(brought[point.name][1])
            found = None if whose else _platform_at(point)
            if whose or isinstance(found, str):
                why = f"claims a name that {whose} has" if whose else found
                troubles[point.name] = (
                    f"the platform {point.name!r} of {_package_of(point)} {why}; update or remove that package"
                )
            elif found is not None:
                brought[point.name] = found, point
        return brought, troubles


def _platform_at(point: EntryPoint) -> Platform | str:
    """The platform that an entry point leads to, or why there is none."""
    try:
        found = point.load()
    except Exception as error:  # noqa: BLE001 - whatever a foreign module raises while it is imported
        return f"cannot be loaded from {point.value} ({type(error).__name__}: {str(error)[:200]})"
    if getattr(found, "name", None) != point.name:
        return f"is not a Platform of that name at {point.value}"
    if getattr(found, "api", None) != API:
        return f"is not made for version {API} of the plug-in interface"
    brought: Platform = found
    return brought


def _package_of(point: EntryPoint) -> str:
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"


PLATFORMS: Final = Registry()
"""Every platform by the name that a shop's `platform` key carries."""
