"""Strings are escaped where they are put in, markup is not, and nothing is escaped twice."""

from pruning.report.markup import Html, join, tag


def test_strings_are_escaped_and_markup_is_not() -> None:
    inner = tag("b", "<i>&")
    assert inner == "<b>&lt;i&gt;&amp;</b>"
    assert tag("p", inner, None, '"') == "<p><b>&lt;i&gt;&amp;</b>&quot;</p>"
    assert join("<", Html("<br>"), None) == "&lt;<br>"


def test_attributes_are_escaped_named_and_rounded() -> None:
    made = tag("rect", class_="a", aria_label='"><script>', x=1.0, y=2.346, fill=None, viewBox="0 0 1 1")
    assert made == '<rect class="a" aria-label="&quot;&gt;&lt;script&gt;" x="1" y="2.35" viewBox="0 0 1 1"></rect>'
