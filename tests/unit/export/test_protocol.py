"""What a status means when nothing else tells."""

from __future__ import annotations

import pytest

from sessiontrace.export.protocol import (
    Blocked,
    Delivered,
    Invalid,
    Reply,
    Retry,
    TooLarge,
    judge_http,
    retry_after,
)


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (Delivered, [200, 201, 202, 204]),
        (Retry, [408, 425, 429, 500, 502, 503, 504, 520, 524]),
        (TooLarge, [413]),
        (Invalid, [400, 409, 422]),
        (Blocked, [301, 302, 307, 308, 401, 402, 403, 404, 405, 407, 410, 415, 451, 501, 505]),
    ],
)
def test_C18_C19_each_status_has_its_verdict(kind: type, statuses: list[int]) -> None:
    """The whole table."""
    assert {type(judge_http(Reply(status))) for status in statuses} == {kind}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("-5", 0.0),
        ("1e9", 3600.0),
        ("inf", 3600.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
        ("Wed, 21 Oct 2099 07:00:00 GMT", 3600.0),
        ("Wed, 21 Oct 99999 07:00:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:30", None),
    ],
)
def test_C09_retry_after_is_bounded_and_garbage_is_ignored(
    value: str, seconds: float | None
) -> None:
    """Seconds or a date against the reply's own, within an hour."""
    headers = {"retry-after": value, "date": "Wed, 21 Oct 2015 07:28:00 GMT"}
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date_needs_the_servers_date() -> None:
    """Without it we would have to trust our own clock."""
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}) is None
    assert retry_after({}) is None
