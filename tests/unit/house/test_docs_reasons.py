"""docs/policies.md lists every reason of a violation and every detector, as the code has them."""

import ast
import pathlib
import re
from collections.abc import Iterator

from llmgov.policy import detectors
from llmgov.snapshot import Category

ROOT = pathlib.Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "policies.md").read_text().split("\n## Reasons\n")[1]
PLACES = ("src/llmgov/policy", "src/llmgov/ledger", "sidecar/llmgov_sidecar")
MAKERS = {"refuse": 1, "note": 2, "_refuse": 2, "Violation": 2, "Doubt": 0}
"""Which argument of whom is a reason."""

WORD = re.compile(r"[a-z]+(?:_[a-z]+)*(?::.*)?")


def _said(node: ast.expr) -> str | None:
    """A text, of one with parts that vary only its beginning."""
    if isinstance(node, ast.JoinedStr):
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _candidates(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=args):
                if name in MAKERS and len(args) > MAKERS[name]:
                    yield args[MAKERS[name]]
            case ast.Return(value=ast.Tuple(elts=[reason, ast.JoinedStr()])):
                yield reason
            case ast.Assign(targets=[ast.Tuple(elts=[_, ast.Name(id="reason")])], value=ast.Tuple(elts=[_, reason])):
                yield reason
            case _:
                pass


def _reasons() -> set[str]:
    trees = [ast.parse(path.read_text()) for place in PLACES for path in (ROOT / place).glob("*.py")]
    said = {text for tree in trees for node in _candidates(tree) if (text := _said(node)) is not None}
    limits = re.findall(r'^ {8}\("(\w+)", "', (ROOT / "src/llmgov/policy/limits.py").read_text(), re.MULTILINE)
    return {text.partition(":")[0] for text in said if WORD.fullmatch(text)} | set(limits)


def _documented() -> set[str]:
    cells = [line.split(" | ")[0] for line in PAGE.splitlines() if re.match(r"\| `[a-z]", line)]
    return {word.partition(":")[0] for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def test_every_reason_is_on_the_page_and_no_other() -> None:
    assert {"model_denied", "high_cost", "concurrent", "pattern", "budget_exhausted"} <= _reasons()
    assert _documented() == _reasons()


def test_every_detector_is_on_the_page_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `([A-Z]\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
    listed = {category: set(re.findall(r"`(\w+)`", names)) for category, names in rows.items()}
    assert listed == {category.value: {each.name for each in detectors.of(category)} for category in Category}
