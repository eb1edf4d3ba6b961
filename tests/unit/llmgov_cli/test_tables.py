"""Tables look as kubectl's."""

from llmgov_cli import tables


def test_columns_are_three_blanks_apart_and_end_without_blanks() -> None:
    assert tables.render(("Name", "Used"), [("organization", "5%"), ("x", "")]) == (
        "NAME           USED\norganization   5%\nx              <none>\n"
    )


def test_a_row_as_a_document_has_keys_as_kubernetes_writes_them() -> None:
    assert tables.record(("Id", "Requested-By"), ("a", "b")) == {"id": "a", "requestedBy": "b"}
