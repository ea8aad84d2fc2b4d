"""Charts as SVG: lengths and places are right, text is escaped, and nothing breaks without data."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from kbsync.views.charts import Bar, Line, bars, lines, scatter

SVG = ElementTree.Element


def parsed(chart: Markup) -> SVG:
    """Well-formed, or the test fails."""
    return ElementTree.fromstring(str(chart))


def drawn(chart: Markup, kind: str) -> list[SVG]:
    return [element for element in parsed(chart).iter() if kind in element.get("class", "").split()]


def number(element: SVG, name: str) -> float:
    return float(element.get(name, "nan"))


def test_bars_are_as_long_as_their_values() -> None:
    chart = bars([Bar("a", 0.5), Bar("b", 1.0, note="(n=3)"), Bar("c", -0.25)], title="Scores")
    half, full, negative = (number(bar, "width") for bar in drawn(chart, "bar"))
    assert half == pytest.approx(full / 2) and negative == pytest.approx(full / 4)
    assert [text.text for text in drawn(chart, "figure")] == ["0.5", "1 (n=3)", "-0.25"]
    assert parsed(chart).get("aria-label") == "Scores"


def test_a_bar_is_measured_by_the_most_that_there_can_be() -> None:
    (full,) = drawn(bars([Bar("a", 0.5)], title=""), "bar")
    (half,) = drawn(bars([Bar("a", 0.5)], title="", most=1.0), "bar")
    assert number(half, "width") == pytest.approx(number(full, "width") / 2)


def test_a_second_value_is_a_mark_at_its_place() -> None:
    chart = bars([Bar("a", 1.0, other=0.5), Bar("b", 1.0)], title="")
    (mark,) = drawn(chart, "mark")
    bar = drawn(chart, "bar")[0]
    assert number(mark, "x") == pytest.approx(number(bar, "x") + number(bar, "width") / 2, abs=0.1)


def test_points_lie_in_the_unit_square_whatever_they_are() -> None:
    chart = scatter([(0.0, 0.0), (1.0, 1.0), (math.nan, 7.0)], title="", across="x", up="y")
    origin, corner, odd = ((number(dot, "cx"), number(dot, "cy")) for dot in drawn(chart, "dot"))
    assert origin[0] < corner[0] and origin[1] > corner[1], "up is up"
    assert odd == (origin[0], corner[1]), "what is not finite is 0, what is too large is 1"


def test_lines_span_their_range_and_differ_in_their_dashes() -> None:
    chart = lines([Line("a", ((1.0, 0.0), (3.0, 10.0))), Line("b", ((2.0, 5.0),))], title="", across="version")
    first = next(e for e in drawn(chart, "line") if e.tag == "polyline")
    (left, bottom), (right, top) = (tuple(map(float, p.split(","))) for p in first.get("points", "").split())
    middle = drawn(chart, "dot")[2]
    assert number(middle, "cx") == pytest.approx((left + right) / 2)
    assert number(middle, "cy") == pytest.approx((bottom + top) / 2) and top < bottom
    assert len(drawn(chart, "dash0")) == len(drawn(chart, "dash1")) == 2, "the line, and its sample beside the name"
    assert "version: 1 to 3" in chart


def test_one_point_is_no_range() -> None:
    chart = lines([Line("a", ((2.0, 5.0),))], title="", across="version")
    assert "version: 2<" in chart and "nan" not in chart
    assert len(drawn(chart, "dot")) == 1


def test_without_data_there_is_no_line_chart_and_an_empty_bar_chart() -> None:
    assert lines([], title="", across="") == lines([Line("a", ())], title="", across="") == ""
    assert drawn(bars([], title="nothing"), "bar") == []


def test_names_are_text_and_short() -> None:
    hostile = '<script>alert("1")</script>\u202e' + "x" * 40
    for chart in (
        bars([Bar(hostile, 1.0, note=hostile)], title=hostile),
        scatter([], title=hostile, across=hostile, up=hostile),
        lines([Line(hostile, ((0.0, 1.0),))], title=hostile, across=hostile),
    ):
        assert not [e for e in parsed(chart).iter() if "script" in e.tag]
    (name,) = drawn(bars([Bar(hostile, 1.0)], title=""), "name")
    assert name.text is not None and len(name.text) == 26 and name.text.endswith("…")
    assert not re.search("\u202e", name.text)
