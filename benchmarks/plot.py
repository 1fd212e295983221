"""Plots as SVG, written by ourselves: bars and lines, on a logarithmic scale where asked.

Pure functions of values. Invariant: a plot is readable on a light and on a dark page, and every
figure in it stands beside its mark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

import attrs

__all__ = ["Bar", "Bars", "Lines"]

_STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
.title { font-size: 14px; font-weight: 600; }
.quiet { fill: #57606a; }
.own { fill: #0969da; } .other { fill: #9aa4af; }
.axis { stroke: #d0d7de; } .line { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .quiet { fill: #8d96a0; }
  .own { fill: #4493f8; } .other { fill: #59636e; } .axis { stroke: #3d444d; }
}
"""
_COLOURS = ("#0969da", "#bf8700", "#8250df", "#1a7f37", "#cf222e", "#57606a")
_WIDTH = 760


def _document(height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" '
        f'width="{_WIDTH}" height="{height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'


def number(value: float) -> str:
    """Three significant digits, thousands in groups."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


@attrs.frozen
class Bar:
    """One bar; ``own``: in our colour. ``note`` stands behind its figure."""

    label: str
    value: float
    own: bool = False
    note: str = ""


@attrs.frozen
class Bars:
    """Horizontal bars, longest at will; ``log``: lengths by the logarithm."""

    title: str
    bars: Sequence[Bar]
    unit: str = ""
    log: bool = False

    def svg(self) -> str:
        """The plot alone."""
        return _document(self.height, list(self.parts(0)), self.title)

    @property
    def height(self) -> float:
        return 34 + 22 * len(self.bars) + 8

    def parts(self, top: float) -> Iterator[str]:
        """What stands below ``top``."""
        left, room = 210.0, _WIDTH - 210.0 - 170.0
        scale = " (logarithmic)" if self.log else ""
        yield _text(0, top + 18, self.title + scale, "title")
        values = [bar.value for bar in self.bars if bar.value > 0]
        least, most = (min(values), max(values)) if values else (1.0, 1.0)
        for at, bar in enumerate(self.bars):
            y = top + 34 + 22 * at
            width = max(self._share(bar.value, least, most) * room, 1.0)
            yield _text(left - 8, y + 13, bar.label, anchor="end")
            kind = "own" if bar.own else "other"
            yield (
                f'<rect class="{kind}" x="{left}" y="{y + 2:.0f}" width="{width:.1f}" '
                'height="15" rx="2"/>'
            )
            words = f"{number(bar.value)} {self.unit}".strip()
            yield _text(left + width + 6, y + 13, f"{words}  {bar.note}".strip(), "quiet")

    def _share(self, value: float, least: float, most: float) -> float:
        if value <= 0 or most <= 0:
            return 0.0
        if not self.log:
            return value / most
        floor = math.log10(least) - 0.3
        return (math.log10(value) - floor) / max(math.log10(most) - floor, 1e-9)


@attrs.frozen
class Stack:
    """Several plots of bars, one below the other, and a line of words at the end."""

    plots: Sequence[Bars]
    words: str = ""

    def svg(self) -> str:
        """All of them in one picture."""
        parts: list[str] = []
        top = 0.0
        for plot in self.plots:
            parts += plot.parts(top)
            top += plot.height + 10
        if self.words:
            parts.append(_text(0, top + 6, self.words, "quiet"))
            top += 16
        return _document(top, parts, self.plots[0].title)


@attrs.frozen
class Lines:
    """Series of points; both axes by the logarithm with ``log``."""

    title: str
    series: Mapping[str, Sequence[tuple[float, float]]]
    x: str
    y: str
    log: bool = True

    def svg(self) -> str:
        """The plot alone."""
        series = self._drawable()
        points = [point for line in series.values() for point in line]
        across, up = self._scale([p[0] for p in points]), self._scale([p[1] for p in points])
        left, right, top, bottom = 84.0, _WIDTH - 170.0, 40.0, 300.0
        parts = [
            _text(0, 18, self.title, "title"),
            f'<path class="axis" fill="none" d="M{left} {top}V{bottom}H{right}"/>',
            _text(right, bottom + 34, self.x, "quiet", "end"),
            _text(left, top - 6, self.y, "quiet"),
        ]
        for value in sorted({p[0] for p in points}):
            x = left + across(value) * (right - left)
            parts.append(_text(x, bottom + 17, number(value), "quiet", "middle"))
        for value in self._marks([p[1] for p in points]):
            y = bottom - up(value) * (bottom - top)
            parts.append(_text(left - 6, y + 4, number(value), "quiet", "end"))
        for at, (name, line) in enumerate(series.items()):
            colour = _COLOURS[at % len(_COLOURS)]
            spots = [
                (left + across(x) * (right - left), bottom - up(y) * (bottom - top))
                for x, y in line
            ]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
            parts.append(f'<polyline class="line" stroke="{colour}" points="{path}"/>')
            dot = f'r="3" fill="{colour}"/>'
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" {dot}' for x, y in spots]
            parts.append(f'<rect x="{right + 14}" y="{top + 20 * at}" width="10" height="10" '
                         f'fill="{colour}"/>')  # fmt: skip
            parts.append(_text(right + 30, top + 20 * at + 10, name))
        return _document(bottom + 46, parts, self.title)

    def _drawable(self) -> dict[str, list[tuple[float, float]]]:
        """What has no logarithm is drawn at the least that has one."""
        if not self.log:
            return {name: list(line) for name, line in self.series.items()}
        low = min((v for line in self.series.values() for p in line for v in p if v > 0), default=1)
        return {
            name: [(max(x, low), max(y, low)) for x, y in line]
            for name, line in self.series.items()
        }

    def _scale(self, values: Sequence[float]) -> _Scale:
        return _Scale(min(values), max(values), self.log)

    def _marks(self, values: Sequence[float]) -> list[float]:
        """A few round figures over the range."""
        least, most = min(values), max(values)
        if not self.log:
            return [least, (least + most) / 2, most]
        powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
        inside = [10.0**n for n in powers if least * 0.99 <= 10.0**n <= most * 1.01]
        return inside if len(inside) > 1 else [least, most]


@attrs.frozen
class _Scale:
    """Where a value lies between the least and the most, from 0 to 1."""

    least: float
    most: float
    log: bool

    def __call__(self, value: float) -> float:
        least, most = self.least, self.most
        if self.log:
            value, least, most = (math.log10(one) for one in (value, least, most))
        return (value - least) / (most - least) if most > least else 0.5
