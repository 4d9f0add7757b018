"""Refusals of requests from outside: one small class, which the API turns into RFC 9457 problems."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.decisions.problems import PASSING, REFUSAL_TITLES, Help
from statemachines.suggestion import hint

_SOON_SECONDS = 5


class Refused(Exception):
    """A request that is not carried out. `slug` is one of `problems.REFUSAL_TITLES`, else KeyError is raised; `extra`
    joins the problem. `retry_after_seconds`: when a repeat may help; always set for refusals that
    end by themselves (`problems.PASSING`)."""

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        retry_after_seconds: int | None = None,
        extra: Help | None = None,
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.title = REFUSAL_TITLES[slug]
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds or (_SOON_SECONDS if slug in PASSING else None)
        self.extra: Help = extra or {}


def no_job(job: str) -> Refused:
    """The refusal of a job that there is not."""
    return Refused("job-not-found", f"there is no job {job}")


def shop_elsewhere(shop: str) -> Refused:
    """The refusal of what needs the config of a shop that only other daemons have."""
    detail = f"shop {shop} is in the config of another daemon and not of this one: ask that one, or put it in here"
    return Refused("shop-not-found", detail)


def no_shop(name: str, known: Iterable[str], where: str = "") -> Refused:
    """The refusal of a shop that there is not. `where`: what narrows the known ones, such as ` on PLATFORM`."""
    return Refused("shop-not-found", f"no shop{where} is named {name!r}{hint(name, known)}")
