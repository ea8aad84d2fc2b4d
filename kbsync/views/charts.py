"""Small charts as SVG inside a page: they follow its colours (light or dark), need no script, and escape their text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from kbsync.system.printable import printable

WIDTH, ROW, NAMES, MARGIN = 640, 22, 190, 36
"""In units of the drawing: its width, the height of a bar's row, the room for names on the left, and a margin."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar."""

    name: str
    value: float
    other: float | None = None
    """A second value, such as the base's, which is drawn as a thin mark."""
    note: str = ""
    """Stands behind the value."""


def bars(drawn: Sequence[Bar], *, title: str, most: float | None = None) -> Markup:
    """Horizontal bars, each as long as the magnitude of its value.

    Args:
        most: The value of a bar of full length; default: the largest magnitude.
    """
    full = most or max((max(abs(bar.value), abs(bar.other or 0.0)) for bar in drawn), default=0.0) or 1.0
    width = WIDTH - NAMES - 110
    rows = []
    for index, bar in enumerate(drawn):
        y = index * ROW
        length = width * min(1.0, abs(bar.value) / full)
        rows.append(Markup('<text class="name" x="{}" y="{}">{}</text>').format(NAMES - 8, y + 15, _short(bar.name)))
        rows.append(Markup('<rect class="bar" x="{}" y="{}" width="{:.1f}" height="14"/>').format(NAMES, y + 4, length))
        if bar.other is not None:
            x = NAMES + width * min(1.0, abs(bar.other) / full)
            rows.append(Markup('<rect class="mark" x="{:.1f}" y="{}" width="3" height="18"/>').format(x, y + 2))
        label = f"{bar.value:.3g} {bar.note}".strip()
        rows.append(Markup('<text class="figure" x="{}" y="{}">{}</text>').format(NAMES + width + 8, y + 15, label))
    return _svg(title, max(1, len(drawn)) * ROW + 4, rows)


def scatter(points: Sequence[tuple[float, float]], *, title: str, across: str, up: str) -> Markup:
    """Points in the unit square, with its diagonal.

    Args:
        points: (x, y), each from 0 to 1.
        across: What x is.
        up: What y is.
    """
    side = 260
    left = MARGIN + 20
    rows = [Markup('<line class="axis" x1="{0}" y1="{1}" x2="{2}" y2="10"/>').format(left, side + 10, left + side)]
    rows.append(Markup('<rect class="frame" x="{}" y="10" width="{}" height="{}"/>').format(left, side, side))
    for x, y in points:
        at = left + side * _unit(x), 10 + side * (1 - _unit(y))
        rows.append(Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(*at))
    rows.append(Markup('<text class="figure" x="{}" y="{}">{}</text>').format(left, side + 30, f"0 … 1: {across}"))
    rows.append(Markup('<text class="figure" x="{}" y="{}">{}</text>').format(left + side + 10, 24, f"↑ {up}"))
    return _svg(title, side + 40, rows)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a line chart."""

    name: str
    points: tuple[tuple[float, float], ...]
    """(x, y), from left to right."""


def lines(drawn: Sequence[Line], *, title: str, across: str) -> Markup:
    """Lines over a common axis, empty without a point. Up to four lines differ in their dashes.

    Args:
        across: What x is.
    """
    points = [p for line in drawn for p in line.points]
    if not points:
        return Markup("")
    low_x, high_x = _range([x for x, _ in points])
    low_y, high_y = _range([y for _, y in points])
    left, height, width = MARGIN + 24, 170, WIDTH - MARGIN - 190
    rows = [Markup('<rect class="frame" x="{}" y="10" width="{}" height="{}"/>').format(left, width, height)]
    for number, line in enumerate(drawn):
        at = [
            (left + width * (x - low_x) / (high_x - low_x), 10 + height * (1 - (y - low_y) / (high_y - low_y)))
            for x, y in line.points
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
        rows.append(Markup('<polyline class="line dash{}" points="{}"/>').format(number % 4, path))
        rows += [Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(x, y) for x, y in at]
        x, y = left + width + 10, 24 + 20 * number
        rows.append(
            Markup('<line class="line dash{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
                number % 4, x, y - 4, x + 26, y - 4
            )
        )
        rows.append(Markup('<text class="figure" x="{}" y="{}">{}</text>').format(x + 32, y, _short(line.name)))
    rows.append(Markup('<text class="name" x="{}" y="20">{:.3g}</text>').format(left - 6, high_y))
    rows.append(Markup('<text class="name" x="{}" y="{}">{:.3g}</text>').format(left - 6, height + 10, low_y))
    only_one = len({x for x, _ in points}) == 1
    axis = f"{across}: {points[0][0]:g}" if only_one else f"{across}: {low_x:g} to {high_x:g}"
    rows.append(Markup('<text class="figure" x="{}" y="{}">{}</text>').format(left, height + 30, axis))
    return _svg(title, height + 40, rows)


def _svg(title: str, height: int, rows: Sequence[Markup]) -> Markup:
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>')
    return head.format(WIDTH, height, title, title) + Markup("").join(rows) + Markup("</svg>")


def _short(name: str) -> Markup:
    shown = printable(name)
    return escape(shown if len(shown) <= 26 else f"{shown[:25]}…")


def _unit(value: float) -> float:
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
