"""Tables look as kubectl's."""

from llmgov_cli import tables


def test_columns_are_three_blanks_apart_and_end_without_blanks() -> None:
    assert tables.render(("Name", "Used"), [("organization", "5%"), ("x", "")]) == (
        "NAME           USED\norganization   5%\nx              <none>\n"
    )
