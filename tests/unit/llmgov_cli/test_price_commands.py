"""`llmgov prices list` shows the pinned figures as providers publish them."""

import io
import json

from llmgov_cli import price_commands, prices


def test_a_line_has_dollars_for_a_million_tokens_and_the_models_bounds() -> None:
    out = io.StringIO()
    assert price_commands.show("", out) == 0
    heading, *lines = out.getvalue().splitlines()
    assert heading.split() == ["MODEL", "INPUT", "OUTPUT", "CONTEXT", "MAX-OUTPUT"]
    assert ["openai/gpt-4o-mini", "0.15", "0.60", "128000", "16384"] in [line.split() for line in lines]
    assert len(lines) == len(prices.prices().models)


def test_the_list_as_a_document_is_the_same() -> None:
    out = io.StringIO()
    price_commands.show("json", out)
    (mini,) = (each for each in json.loads(out.getvalue()) if each["model"] == "openai/gpt-4o-mini")
    assert mini == {
        "model": "openai/gpt-4o-mini",
        "input": "0.15",
        "output": "0.60",
        "context": 128000,
        "maxOutput": 16384,
    }
