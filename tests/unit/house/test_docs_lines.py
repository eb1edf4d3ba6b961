"""Pages are read in an editor and in diffs, too: no line of prose is longer than a line of code may be."""

import pathlib
import re
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[3]
LONGEST = 120

REWRITTEN = {"docs/decisions/0007-data-path-costs.md"}
"""Pages that are rewritten as measurements come in; whoever touches one next breaks its lines."""

_LINK = re.compile(r"\]\([^)\s]*\)")
_FENCE = re.compile(r"```([\w-]*)")


def _pages() -> list[pathlib.Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("examples/*/README.md"))]


def _too_long(text: str) -> Iterator[int]:
    """Numbers of lines too long, where each could be broken: a table's row and what a command prints (`text` and
    `shell-session`) cannot, and a link's address is not counted."""
    fence: str | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if opened := _FENCE.match(line):
            fence = opened[1] if fence is None else None
        elif (
            fence not in ("text", "shell-session") and not line.startswith("|") and len(_LINK.sub("]", line)) > LONGEST
        ):
            yield number


@pytest.mark.parametrize("page", _pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_no_line_is_too_long(page: pathlib.Path) -> None:
    found = list(_too_long(page.read_text()))
    assert not found or str(page.relative_to(ROOT)) in REWRITTEN


LONG = "word " * 25


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param(f"short\n{LONG}\n", [2], id="prose"),
        pytest.param(f"- {LONG}", [1], id="an item"),
        pytest.param(f"```yaml\n{LONG}\n```\n", [2], id="an example that a reader copies"),
        pytest.param(f"```text\n{LONG}\n```\n{LONG}", [4], id="not what is printed, but what follows"),
        pytest.param(f"| {LONG} |", [], id="not a table"),
        pytest.param(f"see [there](https://example.com/{'x' * 120})", [], id="not a link's address"),
        pytest.param(f"see [there](https://example.com) {LONG}", [1], id="but the text beside it"),
    ],
)
def test_what_counts(text: str, found: list[int]) -> None:
    assert list(_too_long(text)) == found
