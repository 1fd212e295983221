"""How much redaction finds, how much else it masks, and what it costs a text.

Recall: the share of the secrets of the labelled corpus in ``tests/corpus/redaction`` that are
masked. Precision: the share of true secrets among all values that are changed. *aside* is the
quarter of the corpus that the rules were not tuned on. The microseconds are the processor time of
the calling thread for a value that the process has not seen: encoding, scan and, where there is
something to mask, decoding and masking.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import Bench, Column, Table
from plot import Bar, Bars

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.redaction_corpus import Sample, is_right, recorded, samples

from sessiontrace.capture.redaction.redactor import Redactor


def row_of(name: str, chosen: Sequence[Sample], rounds: int) -> dict[str, Any]:
    """The figures of one part of the corpus."""
    redactor = Redactor()
    secrets = [sample for sample in chosen if sample.secrets]
    others = [sample for sample in chosen if not sample.secrets]
    masked = sum(is_right(sample, redactor) for sample in secrets)
    spoiled = sum(not is_right(sample, redactor) for sample in others)
    row: dict[str, Any] = {"class": name, "samples": len(chosen), "us": cost_of(chosen, rounds)}
    if secrets:
        row["recall"] = masked / len(secrets)
    if masked:
        row["precision"] = masked / (masked + spoiled)
    if others:
        row["spoiled"] = spoiled
    return row


def cost_of(chosen: Sequence[Sample], rounds: int) -> float:
    """Microseconds a value, the best of the rounds; a new redactor remembers no text."""
    best = float("inf")
    for _ in range(rounds):
        redactor = Redactor()
        begin = time.thread_time()
        for sample in chosen:
            recorded(sample.value, redactor)
        best = min(best, time.thread_time() - begin)
    return best / len(chosen) * 1e6


def main() -> None:
    bench = Bench(__doc__)
    bench.option("--rounds", full=20, quick=2, help="rounds")
    options = bench.start()
    corpus = list(samples())
    parts = {"all": corpus, "aside": [sample for sample in corpus if sample.is_aside]}
    for sample in corpus:
        kind = sample.kind if sample.secrets else f"no secret: {sample.kind}"
        parts.setdefault(kind, []).append(sample)
    rows = []
    with bench.progress(len(parts)) as step:
        for name, chosen in parts.items():
            rows.append(row_of(name, chosen, options.rounds))
            step(name)
    columns = (
        Column("class", "class"),
        Column("samples", "samples", "d"),
        Column("recall", "recall", ".3f"),
        Column("precision", "precision", ".3f"),
        Column("spoiled", "masked wrongly", "d"),
        Column("us", "us a value", ".1f"),
    )
    bars = [Bar(row["class"], row["us"], own=True) for row in rows]
    plot = Bars("Redaction of a value not seen before", bars, "us", log=True)
    bench.finish(Table("redaction", columns, rows), plot=plot)


if __name__ == "__main__":
    main()
