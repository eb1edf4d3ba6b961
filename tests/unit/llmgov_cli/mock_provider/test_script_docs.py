"""docs/local-mode.md lists every `mock:` line, and each that it lists is one."""

import pathlib
import re

import msgspec

from llmgov_cli.mock_provider import script
from llmgov_cli.mock_provider.script import Fault, Plan

PAGE = (pathlib.Path(__file__).parents[4] / "docs" / "local-mode.md").read_text()
LINES = re.findall(r"^\| `(mock: [^`]+)` \|", PAGE, re.MULTILINE)


def _plans() -> list[Plan]:
    return [script.parse(re.sub(r"\bN\b", "503", line)) for line in LINES]


def test_every_line_that_is_documented_is_known_and_does_something() -> None:
    assert len(LINES) > 10
    assert Plan() not in _plans()


def test_every_line_that_is_known_is_documented() -> None:
    set_by_some = {
        field.name
        for field in msgspec.structs.fields(Plan)
        if any(getattr(plan, field.name) != field.default for plan in _plans())
    }
    assert set_by_some == {field.name for field in msgspec.structs.fields(Plan)}
    assert {plan.fault for plan in _plans()} >= set(Fault)


def test_every_status_is_documented() -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith("| `mock: status N`"))
    assert {int(number) for number in re.findall(r"\d{3}", row)} == script.STATUSES
