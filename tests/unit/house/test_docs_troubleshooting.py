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
PROBLEMS, REFUSED, CONDITIONS, AUDIT = re.split(
    r"^## (?:Refused requests|Conditions|Audit findings)$", TEXT, flags=re.MULTILINE
)
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


WITHOUT_GOLDEN = {"SecretUnusable", "NotJson", "NotAnObject", "Emptied"}
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


def test_no_two_headings_share_an_anchor() -> None:
    assert len(_headings(TEXT)) == len({heading.lower() for heading in _headings(TEXT)})


def _trees(folder: str) -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in sorted((ROOT / folder).glob("*.py"))]


def _findings() -> dict[str, str]:
    """Codes that a verification may find, and the outcome that each makes."""
    found = {}
    for node in (node for tree in _trees("src/llmgov/audit") for node in ast.walk(tree)):
        match node:
            case ast.Call(func=ast.Attribute(attr=method), args=[ast.Constant(value=str(code)), *_]):
                if (outcome := method.lstrip("_")) in ("tampered", "truncated"):
                    assert found.setdefault(code, outcome) == outcome
            case _:
                pass
    return found


def test_every_finding_of_the_audit_has_a_heading_with_its_outcome_and_what_to_do() -> None:
    assert {"RecordChanged", "SumsDiffer", "BalanceDiffers", "AnchorAhead"} <= _findings().keys()
    assert _headings(AUDIT) == sorted(_findings())
    for code, outcome in _findings().items():
        section = AUDIT.split(f"### {code}\n", 1)[1].split("\n#", 1)[0]
        assert section.strip().startswith(f"{outcome.capitalize()}. ")
        assert "**What to do:** " in section


def test_findings_are_made_with_a_code_that_is_written_out() -> None:
    """One that a variable names would not be seen by the test above; only those that hand it on may."""
    handed_on = [node for tree in _trees("src/llmgov/audit") for node in ast.walk(tree) if _hands_on(node)]
    assert len(handed_on) == 2


def _hands_on(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(attr="tampered" | "truncated" | "_tampered" | "_truncated"), args=[first, *_]):
            return not isinstance(first, ast.Constant)
        case _:
            return False


def _reasons() -> set[str]:
    """The reasons of conditions that are no problem's code: what is written where a reason is chosen or given."""
    given: list[ast.expr] = []
    for node in (node for tree in _trees("src/llmgov/statuses") for node in ast.walk(tree)):
        match node:
            case ast.Call(func=ast.Name(id="condition") | ast.Attribute(attr="condition"), args=[_, _, reason, *_]):
                given.append(reason)
            case ast.Assign(targets=[ast.Name(id="reason")], value=value):
                given.append(value)
            case _:
                pass
    words = [node.value for each in given for node in ast.walk(each) if isinstance(node, ast.Constant)]
    return {word for word in words if isinstance(word, str) and word[:1].isupper()}


def test_every_reason_of_a_condition_has_a_heading_and_says_what_to_do() -> None:
    assert {"Accepted", "InProgress", "LimitReached"} <= _reasons()
    assert sorted(_headings(CONDITIONS)) == sorted(_reasons())
    assert CONDITIONS.count("**What to do:** ") == len(_reasons())


def test_every_state_of_an_account_is_on_the_page() -> None:
    made = ast.parse((ROOT / "src/llmgov/statuses/amounts.py").read_text())
    state = next(node for node in ast.walk(made) if isinstance(node, ast.FunctionDef) and node.name == "state")
    words = [
        node.value
        for returned in ast.walk(state)
        if isinstance(returned, ast.Return) and returned.value is not None
        for node in ast.walk(returned.value)
        if isinstance(node, ast.Constant)
    ]
    listed = re.findall(r"^\| `(\w+)` \|", CONDITIONS, re.MULTILINE)
    assert len(words) == 5
    assert sorted(listed) == sorted(str(word) for word in words)
