"""Tables look as kubectl's."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmgov import instants
from llmgov.ledger import approvals
from llmgov_cli import printable, tables


def test_columns_are_three_blanks_apart_and_end_without_blanks() -> None:
    assert tables.render(("Name", "Used"), [("organization", "5%"), ("x", "")]) == (
        "NAME           USED\norganization   5%\nx              <none>\n"
    )


def test_a_row_as_a_document_has_keys_as_kubernetes_writes_them() -> None:
    assert tables.record(("Id", "Requested-By"), ("a", "b")) == {"id": "a", "requestedBy": "b"}


def test_what_a_terminal_would_obey_is_shown_and_not_sent() -> None:
    hostile = "gpt-4o\x1b[31mEVIL\x00\n\x9b2J\u202egnp"
    assert tables.render(("Model",), [(hostile,)]) == "MODEL\ngpt-4o\\x1b[31mEVIL\\x00\\n\\x9b2J\\u202egnp\n"
    for output in ("json", "yaml"):
        dumped = tables.dump([{"model": hostile}], output)
        assert yaml.safe_load(dumped) == [{"model": hostile}]
        assert dumped.replace("\n", "").isprintable()


@given(st.text())
def test_a_line_is_printable_and_what_is_printable_stays(text: str) -> None:
    assert printable.line(text).isprintable()
    assert printable.line(printable.line(text)) == printable.line(text)
    assert "\n".join(map(printable.line, text.split("\n"))) == printable.lines(text)


def test_a_time_that_never_comes_is_no_time() -> None:
    last = instants.from_rfc3339("9999-12-31T23:59:59.999999Z")
    assert tables.moment(last) == "9999-12-31T23:59:59.999999Z"
    assert [tables.moment(instant) for instant in (None, last + 1, approvals.FOR_EVER)] == ["", "", ""]


def test_a_count_is_a_number_in_a_document_and_a_nought_is_shown() -> None:
    assert tables.render(("Count",), [(0,)]) == "COUNT\n0\n"
    assert tables.record(("Count",), (3,)) == {"count": 3}
