"""Every problem says what helps, in commands that can be copied."""

from __future__ import annotations

import pytest

from orchestrator.decisions.problems import PROBLEM_TITLES
from orchestrator.operations.remedies import REMEDIES, remedy


def test_every_type_of_problem_has_a_remedy_and_none_is_for_nothing() -> None:
    assert set(REMEDIES) == set(PROBLEM_TITLES)


@pytest.mark.parametrize("type_", [*PROBLEM_TITLES, "of a later version"])
def test_its_commands_name_the_order_as_a_shell_takes_it(type_: str) -> None:
    text = remedy(type_, "acme", "a b")
    assert "{" not in text
    if "fulfilld" in text:
        assert "acme 'a b'" in text
