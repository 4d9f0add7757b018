"""Exit codes and sentences by what the daemon answers (docs/cli.md)."""

from __future__ import annotations

import pytest
from aiohttp import web

from orchestrator.api.problems import STATUS_BY_SLUG
from orchestrator.decisions.problems import REFUSAL_TITLES
from tests.cli.fake import FakeDaemon, Run, an_order

CODES = {404: 4, 409: 5, 422: 2, 503: 1}
RETRY = ("POST", "/v1/shops/acme/orders/1/retry")


@pytest.mark.parametrize("slug", sorted(REFUSAL_TITLES))
def test_every_refusal_has_its_exit_code_and_one_clear_sentence(daemon: FakeDaemon, fulfilld: Run, slug: str) -> None:
    status, title = STATUS_BY_SLUG[slug], REFUSAL_TITLES[slug]
    daemon.answers[RETRY] = (status, {"type": slug, "title": title, "status": status, "detail": "because"})
    result = fulfilld("retry", "acme", "1")
    assert result.exit_code == CODES[status]
    assert result.stdout == ""
    assert result.stderr.startswith(f"fulfilld: {title}: because")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(("status", "code"), [(400, 2), (401, 2), (500, 1), (502, 1)])
def test_answers_that_are_no_problem_have_a_sentence_too(
    daemon: FakeDaemon, fulfilld: Run, status: int, code: int
) -> None:
    daemon.answers[RETRY] = (status, "<html>")
    result = fulfilld("retry", "acme", "1")
    assert result.exit_code == code
    assert str(status) in result.stderr
    assert "Traceback" not in result.output


def test_a_refusal_shows_what_is_allowed(daemon: FakeDaemon, fulfilld: Run) -> None:
    problem = {"type": "unreachable", "title": "No", "status": 409, "detail": "no way", "allowed": ["A", "B"]}
    daemon.answers[RETRY] = (409, problem)
    assert "  allowed from here: A, B\n" in fulfilld("retry", "acme", "1").stderr


def test_every_error_of_an_invalid_target_is_reported_with_its_path(daemon: FakeDaemon, fulfilld: Run) -> None:
    errors = [{"path": "tracking.code", "message": "must be text"}, {"path": "items", "message": "must be a list"}]
    problem = {"type": "invalid-target", "title": "The target is not valid", "status": 422, "errors": errors}
    daemon.answers["POST", "/v1/shops/acme/orders/1/targets"] = (422, problem)
    result = fulfilld("submit", "acme", "1", "shipped")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[1:] == ["  tracking.code: must be text", "  items: must be a list"]


def test_every_error_is_reported_in_full_and_once(daemon: FakeDaemon, fulfilld: Run) -> None:
    errors = [{"path": path, "message": "is missing"} for path in ("state", "shop", "shop.id")]
    problem = {
        "type": "invalid-target",
        "title": "The target is not valid",
        "detail": "state: is missing (and 2 more)",
        "errors": errors,
    }
    daemon.answers["POST", "/v1/shops/acme/orders/1/targets"] = (422, problem)
    assert fulfilld("submit", "acme", "1", "shipped").stderr.splitlines() == [
        "fulfilld: The target is not valid: state: is missing",
        "  shop: is missing",
        "  shop.id: is missing",
    ]


def test_what_the_detail_says_is_not_said_again(daemon: FakeDaemon, fulfilld: Run) -> None:
    errors = [{"path": "state", "message": "known are A, B"}]
    problem = {
        "type": "invalid-request",
        "title": "No",
        "detail": "known are A, B",
        "allowed": ["A", "B"],
        "errors": errors,
    }
    daemon.answers[RETRY] = (422, problem)
    assert fulfilld("retry", "acme", "1").stderr == "fulfilld: No: known are A, B\n"


def test_odd_names_stay_one_segment_of_the_path(daemon: FakeDaemon, fulfilld: Run) -> None:
    daemon.answers["POST", "/v1/shops/a%2Fb/orders/..%2F1%3Fx%23y/retry"] = an_order()
    assert fulfilld("retry", "a/b", "../1?x#y").exit_code == 0


def test_a_shop_that_waits_for_a_person_is_not_said_to_be_worth_asking_later(daemon: FakeDaemon, fulfilld: Run) -> None:
    async def paused(_request: web.Request) -> web.Response:
        problem = {"type": "platform-unreachable", "title": "No", "detail": "paused; resume it", "paused_by": "person"}
        return web.json_response(problem, status=503, headers={"Retry-After": "30"})

    daemon.answers[RETRY] = paused
    assert fulfilld("retry", "acme", "1").stderr == "fulfilld: No: paused; resume it\n"


def test_what_is_kept_but_not_confirmed_is_not_said_to_be_refused(daemon: FakeDaemon, fulfilld: Run) -> None:
    async def kept(_request: web.Request) -> web.Response:
        problem = {"type": "overloaded", "title": "No", "detail": "the pause is kept and counts", "kept": True}
        return web.json_response(problem, status=503, headers={"Retry-After": "8"})

    daemon.answers["POST", "/v1/shops/acme/pause"] = kept
    shown = fulfilld("pause", "acme")
    assert (shown.exit_code, shown.stderr) == (
        1,
        "fulfilld: the pause is kept and counts - again in 8 s at the earliest\n",
    )
