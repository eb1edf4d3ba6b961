"""docs/troubleshooting.md has a place for every code that the source can print, and for no other."""

import ast
import pathlib
import re

import pytest

from llmgov import problems, resources
from llmgov.compiler import codes
from llmgov.resources import parsing, translate
from llmgov.wire import refusals
from llmgov.wire.events import Format, Reason, Refusal
from llmgov_cli import absences, manifests, reference

ROOT = pathlib.Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text()
PROBLEMS, _, REFUSED = TEXT.partition("## Refused requests")
_CODE = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+")
_EXAMPLE = re.compile(r"^### (\w+)$(?:(?!^#).)*?^```text\n(.+?)\n```$", re.DOTALL | re.MULTILINE)


def _headings(text: str) -> list[str]:
    return re.findall(r"^### (\w+)$", text, re.MULTILINE)


def _declared() -> set[str]:
    """Codes from the modules that own them."""
    models = [*reference.models().values(), *resources.KINDS.values()]
    rules = {rule.code for model in models for rule in model.invariants}
    formats = {text.code for text in reference.texts()}
    made = {*translate.CODES, *parsing.CODES, *manifests.CODES, *absences.CODES}
    return {code.name for code in codes.ALL} | rules | formats | made


def test_every_code_has_a_heading_and_every_heading_a_code() -> None:
    assert sorted(_headings(PROBLEMS)) == sorted(_declared() | {"SecretUnusable"})


def test_no_code_is_written_anywhere_else_in_the_source() -> None:
    """A problem made by hand, with a code that no list declares, would not be documented."""
    made = {code for path in (ROOT / "src").rglob("*.py") for code in _codes_made(ast.parse(path.read_text()))}
    assert {"SecretUnusable", "ForeignKind"} <= made
    assert made <= set(_headings(PROBLEMS))


def _codes_made(tree: ast.AST) -> set[str]:
    """First arguments of calls that make a problem, a finding or an error of reading, where they are written out."""
    made = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in ("Problem", "Code", "ReadError", "Finding", "_fault"):
            words = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            made.update(word for word in words if _CODE.fullmatch(word))
    return made


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _goldens() -> set[str]:
    """What the golden files say is printed, without file and line."""
    printed = {
        re.sub(r"^[^:]+:\d+: ", "", line)
        for path in (ROOT / "tests/golden/invalid").glob("*.txt")
        for line in path.read_text().splitlines()
    }
    for path in (ROOT / "tests/golden/compiler").glob("*/problems.txt"):
        printed.update(_printed(line) for line in path.read_text().splitlines())
    return printed


def _printed(line: str) -> str:
    """A line of the compiler's goldens as `llmgov validate` prints it."""
    severity, name, rest = line.split(" ", 2)
    subject, message = rest.split(": ", 1)
    code = next(code for code in codes.ALL if code.name == name)
    problem = code.at(problems.ResourceRef("", ""), "", message)
    level = "warning: " if severity == "warning" else ""
    return f"{level}{subject.strip()}: {problem.explanation} [{name}]"


WITHOUT_GOLDEN = {"SecretUnusable", "NotJson", "NotAnObject"}
"""What only local mode sees, and what no file can hold that `llmgov validate` reads."""


def test_every_example_is_what_is_printed() -> None:
    examples = dict(_EXAMPLE.findall(PROBLEMS))
    goldens = _goldens()
    assert set(_headings(PROBLEMS)) - set(examples) <= WITHOUT_GOLDEN
    for code, example in examples.items():
        assert example.endswith(f"[{code}]")
        assert example in goldens or code in WITHOUT_GOLDEN, example


@pytest.mark.parametrize("heading", _headings(PROBLEMS))
def test_every_code_says_what_to_do(heading: str) -> None:
    section = PROBLEMS.split(f"### {heading}\n", 1)[1].split("\n#", 1)[0]
    assert "**What to do:** " in section


def test_every_reason_of_a_refusal_has_a_heading_with_its_status() -> None:
    assert sorted(_headings(REFUSED)) == sorted(reason.value for reason in Reason)
    for reason in Reason:
        section = REFUSED.split(f"### {reason.value}\n", 1)[1].split("\n#", 1)[0]
        status = refusals.render(Format.OPENAI, Refusal(reason, "llmgov: no"), "id").status
        assert section.strip().startswith(f"Status {status}.")
        assert "**The application's developer:** " in section
        assert "**The administrator:** " in section
