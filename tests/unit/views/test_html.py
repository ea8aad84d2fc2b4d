"""Templates: values are escaped, shown as people read them, and never missing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from jinja2 import TemplateNotFound, UndefinedError
from markupsafe import Markup

from kbsync.views.html import environment, shown, stylesheet


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "yes"),
        (False, "no"),
        (0.123456, "0.1235"),
        (12, 12),
        (datetime(2026, 1, 3, 14, 0, tzinfo=timezone(timedelta(hours=2))), "2026-01-03 12:00:00"),
        ("gnp.\u202eexe", "gnp.\\u202eexe"),
        (Markup("<b>\u202e"), Markup("<b>\u202e")),
    ],
)
def test_values_are_shown_as_people_read_them(value: Any, text: Any) -> None:
    assert shown(value) == text


def test_values_are_escaped_and_filters_are_there() -> None:
    templates = environment("kbsync.views")
    assert templates.from_string("{{ x }}").render(x="<b>&") == "&lt;b&gt;&amp;"
    assert templates.from_string("{{ x|digest }} {{ none|digest }}").render(x="0123456789abcdef") == "0123456789ab –"
    assert templates.from_string("?{{ {'q': 'a b&c'}|query }}").render() == "?q=a+b%26c"


def test_a_name_without_a_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment("kbsync.views").from_string("{{ missing }}").render()


def test_templates_are_taken_from_the_first_package_that_has_them() -> None:
    page = environment("kbsync.web", "kbsync.views")
    assert {"base.html", "report.html", "_macros.html"} <= set(page.list_templates())
    assert environment("kbsync.web", "kbsync.views") is page, "made once"
    with pytest.raises(TemplateNotFound):
        environment("kbsync.views").get_template("base.html")


def test_the_style_of_the_report_is_that_of_the_page() -> None:
    assert ":root" in stylesheet() and "prefers-color-scheme: dark" in stylesheet()
