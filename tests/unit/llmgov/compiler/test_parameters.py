import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.compiler import parameters


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        pytest.param("{{LIMIT}}", 60, id="a whole scalar takes the value's type"),
        pytest.param("{{ LIMIT }}", 60, id="spaces inside the braces mean nothing"),
        pytest.param("at most {{LIMIT}} a minute", "at most 60 a minute", id="inside a text the value is text"),
        pytest.param("{{ON}}", True, id="a whole scalar may be a boolean"),
        pytest.param("on={{ON}}", "on=true", id="a boolean inside a text is written as YAML writes it"),
        pytest.param("{{NAME}}{{NAME}}", "{{LIMIT}}{{LIMIT}}", id="a filled value is not searched again"),
        pytest.param("{{OTHER}}", "{{OTHER}}", id="a parameter without a value stays"),
        pytest.param({"{{LIMIT}}": "{{LIMIT}}"}, {"{{LIMIT}}": 60}, id="keys are never filled"),
        pytest.param([{"a": ["{{LIMIT}}", None, 1.5]}], [{"a": [60, None, 1.5]}], id="lists and maps are walked"),
        pytest.param("{{}} {LIMIT} {{1A}}", "{{}} {LIMIT} {{1A}}", id="what is no parameter stays as it is"),
    ],
)
def test_fill(tree: parameters.Tree, expected: parameters.Tree) -> None:
    filled = parameters.fill(tree, {"LIMIT": 60, "ON": True, "NAME": "{{LIMIT}}"})
    assert filled == expected
    assert type(filled) is type(expected)


def test_names_finds_parameters_in_values_anywhere_and_in_keys_nowhere() -> None:
    assert parameters.names({"{{KEY}}": ["{{A}} and {{B}}", {"x": "{{ C }}"}, 1, None]}) == {"A", "B", "C"}


@given(st.text(), st.text())
def test_a_value_can_not_add_structure(before: str, value: str) -> None:
    filled = parameters.fill({"a": f"{before}: {{{{X}}}}", "b": "kept"}, {"X": value})
    assert isinstance(filled, dict)
    assert list(filled) == ["a", "b"]
    assert filled["b"] == "kept"
