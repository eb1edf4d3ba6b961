"""The `mock:` lines."""

import pytest

from llmgov_cli.mock_provider import script
from llmgov_cli.mock_provider.script import Call, Fault, Plan


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("hello", Plan()),
        ("please\n  mock: echo  \nthanks", Plan(echo=True)),
        ("mock: say a: b\nand c", Plan(say="a: b\nand c")),
        ("mock: delay 200ms\nmock: pace 2s\nmock: say mock: echo", Plan(say="mock: echo", delay=0.2, pace=2.0)),
        ('mock: call f {"a": 1}', Plan(call=Call("f", '{"a": 1}'))),
        ("mock: call f", Plan(call=Call("f", "{}"))),
        ("mock: spend max", Plan(spend_max=True)),
        ("mock: cached 7\nmock: tier priority", Plan(cached=7, tier="priority")),
        ("mock: think hard", Plan(think="hard")),
        ("mock: refuse", Plan(refuse=True)),
        ("mock: status 529", Plan(status=529)),
        *((f"mock: fault {fault.value}", Plan(fault=fault)) for fault in Fault),
    ],
)
def test_lines_make_a_plan(text: str, plan: Plan) -> None:
    assert script.parse(text) == plan


@pytest.mark.parametrize("line", ["ecko", "fault", "fault x", "delay 5", "status 418", "status x", "spend", "call", ""])
def test_what_the_mock_does_not_know_it_says(line: str) -> None:
    with pytest.raises(script.ScriptError, match="the mock does not know"):
        script.parse(f"mock: {line}")


def test_lines_for_the_next_request_have_no_prefix() -> None:
    assert script.parse_lines("delay 1s\n\nfault cut\n") == Plan(delay=1.0, fault=Fault.CUT)
