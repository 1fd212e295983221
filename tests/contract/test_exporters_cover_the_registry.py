"""The exporter suite runs over the registry: a vendor cannot be added without being tested."""

from __future__ import annotations

import pytest
from support.exporters import CASES, WITHOUT_CASE, VendorCase

from sessiontrace.model.destination import HttpDestination
from sessiontrace.vendors import registry
from sessiontrace.vendors.vendor import PipelineServices

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("name", registry.names())
def test_every_vendor_of_the_registry_has_a_backend_in_the_suite(name: str) -> None:
    """A vendor without one would pass the suite untested."""
    if name not in CASES and name not in WITHOUT_CASE:
        pytest.fail(
            f"vendor {name!r} is in sessiontrace/vendors/registry.py but has no fake backend: add "
            f"a VendorCase to CASES in tests/support/exporters.py (docs/extending/vendor.md)"
        )


def test_every_case_belongs_to_a_vendor_of_the_registry() -> None:
    """A case of a vendor that is gone tests nothing that users can reach."""
    assert {*CASES, *WITHOUT_CASE} == set(registry.names())


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=case.name) for name, cases in CASES.items() for case in cases],
)
def test_the_exporter_under_test_is_the_one_that_the_registry_connects(
    name: str, case: VendorCase
) -> None:
    """What the suite checks is what users get."""
    destination_class = registry.find(name).destination
    keyed = issubclass(destination_class, HttpDestination)
    address = {"api_key": "k", "base_url": "http://localhost:1"} if keyed else {}
    destination = destination_class(**address, **case.options).complete({})
    parts = registry.connect(destination, PipelineServices())
    assert type(parts.exporter) is type(case.make())
