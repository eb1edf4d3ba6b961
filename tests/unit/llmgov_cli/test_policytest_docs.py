"""docs/policy-test.md: its example parses, and its table names every key of the format."""

import pathlib
import re

import msgspec
import pytest
import yaml

from llmgov.policy.decision import Action
from llmgov.wire.events import Operation
from llmgov_cli import cases

DOC = (pathlib.Path(__file__).parents[3] / "docs" / "policy-test.md").read_text()
TABLE = "\n".join(line for line in DOC.splitlines() if line.startswith("|"))


def test_the_example_is_a_file_of_cases() -> None:
    match = re.search(r"```yaml\n(.*?)```", DOC, re.DOTALL)
    assert match is not None
    found = msgspec.convert(yaml.safe_load(match[1]), cases.CaseFile)
    assert [case.expect.action for case in found.cases] == [Action.DENY, Action.REQUIRE_APPROVAL, Action.REDACT]


@pytest.mark.parametrize("part", [cases.Request, cases.Principal, cases.Earlier, cases.Expectation, cases.Case])
def test_every_key_is_in_the_table(part: type[msgspec.Struct]) -> None:
    missing = [field.encode_name for field in msgspec.structs.fields(part) if field.encode_name not in TABLE]
    assert missing == []


def test_every_action_and_operation_is_in_the_table() -> None:
    assert [each.value for each in (*Action, *Operation) if f"`{each.value}`" not in TABLE] == []
