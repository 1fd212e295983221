"""What admitted senders bring at one time has a limit, for one of them and for all."""

from __future__ import annotations

import pytest

from sessiontrace.server.security.intake_budget import IntakeBudget, IntakeFullError


def test_beyond_the_limit_of_all_callers_the_server_is_busy() -> None:
    """503 says that anyone may come again; what is given back may be used again."""
    budget = IntakeBudget(most=100, share=60)
    with budget.lease("a") as one, budget.lease("b") as other:
        one.add(60)
        other.add(40)
        with pytest.raises(IntakeFullError, match="as much as it can") as refused:
            other.add(1)
        assert refused.value.status == 503
    with budget.lease("c") as third:
        third.add(60)
    assert (budget.used, dict(budget.by_caller)) == (0, {})


def test_one_key_leaves_room_for_the_others() -> None:
    """429 is for the key that sends too much; a server with one token has one limit only."""
    budget = IntakeBudget(most=100, share=60)
    with budget.lease("a") as first, budget.lease("a") as second, budget.lease("") as open_one:
        first.add(50)
        with pytest.raises(IntakeFullError, match="this key") as refused:
            second.add(11)
        assert refused.value.status == 429
        open_one.add(50)
