"""The labelled corpus: how much of what is secret is masked, and how much of the others stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.forms import FORMS, form_of
from support.redaction_corpus import is_right, samples

from sessiontrace.capture.redaction.redactor import Redactor
from sessiontrace.capture.redaction.text_masks import mask_secrets

SAMPLES = list(samples())


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_of(item)


def test_D18_recall_and_precision_are_over_99_percent() -> None:
    """Field reports F13, R8 and R10: secrets passed, and logprobs, counts and code were masked."""
    redactor = Redactor()
    secrets = [sample for sample in SAMPLES if sample.secrets]
    others = [sample for sample in SAMPLES if not sample.secrets]
    assert len(secrets) >= 300
    assert len(others) >= 300
    masked = sum(is_right(sample, redactor) for sample in secrets)
    spoiled = [sample.value for sample in others if not is_right(sample, redactor)]
    missed = [sample.value for sample in secrets if not is_right(sample, redactor)]
    assert masked / len(secrets) >= 0.99, missed
    assert masked / (masked + len(spoiled)) >= 0.99, spoiled


@pytest.mark.parametrize("form", FORMS)
def test_both_forms_of_the_scan_pass_no_secret_of_the_corpus(form: str) -> None:
    """What the scan lets pass is recorded as it is."""
    scan = form_of("capture.redaction.patterns", form).may_contain_secret
    for sample in SAMPLES:
        for text in texts_of(sample.value):
            if mask_secrets(text) != text:
                assert scan(text), text
                assert scan(f"中 {text}"), text
