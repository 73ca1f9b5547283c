"""A page has the elements of a harmless one, whatever text is on it, and no character that is obeyed."""

from __future__ import annotations

import unicodedata

from hypothesis import example, given

from executor.cli.render.encode import terminal
from executor.cli.render.page.document import report_page
from tests.property import hostile
from tests.property import strategies as some
from tests.unit.test_pages import Parsed, hostile_report

HARMLESS = Parsed(report_page(*hostile_report("x"), {})).elements


@some.examples(60)
@given(hostile.line)
@example("</script>")
@example("~")
@example("\u202e\x1b[31m")
def test_no_text_is_markup_on_a_page(text: str) -> None:
    page = report_page(*hostile_report(text), {})
    assert [item for item in Parsed(page).elements if item[0] != "code"] == [
        item for item in HARMLESS if item[0] != "code"
    ]
    assert {unicodedata.category(each) for each in page if each != "\n"}.isdisjoint({"Cc", "Cs", "Zl", "Zp"})
    if hostile.PASSWORD not in terminal(text):
        assert hostile.PASSWORD not in page
