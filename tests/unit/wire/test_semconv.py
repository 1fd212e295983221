"""The table of attribute names: one name never means two things."""

from __future__ import annotations

from sessiontrace.wire import semconv


def test_no_two_fields_write_the_same_name_with_different_meaning() -> None:
    """The span writer uses the first OTel name; only aliases of one parameter share a name."""
    names: dict[str, set[str]] = {}
    for field in semconv.TABLE:
        if field.otel:
            names.setdefault(field.otel[0], set()).add(field.kind)
    assert all(len(kinds) == 1 for kinds in names.values())
