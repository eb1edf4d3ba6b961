"""Every command that a page shows works, in the page's order, in a folder like a fresh clone.

The examples' own READMEs are run by tests/examples.
"""

import pathlib

import pytest

from tests.support import documented

STAND_FOR = {"make run ARGS=--once": "llmgov local examples/01-quickstart --play --once"}
"""What is run here for a command that would first install itself into a clone."""

NOT_RUN = {"make test": "is what runs this test"}
"""Commands that a page shows and that are not run here, and why."""

PAGES = [page for page in documented.pages() if "examples" not in page.parts]


def _name(page: pathlib.Path) -> str:
    return str(page.relative_to(documented.ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if documented.commands(page)], ids=_name)
def test_commands_of_the_page_work(page: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with documented.Shell(tmp_path) as shell:
        for command in documented.commands(page):
            if command not in NOT_RUN:
                shell.run(STAND_FOR.get(command, command))


def test_nothing_is_excused_that_no_page_shows() -> None:
    shown = {command for page in PAGES for command in documented.commands(page)}
    assert {*STAND_FOR, *NOT_RUN} <= shown


def test_make_run_is_what_stands_for_it() -> None:
    makefile = (documented.ROOT / "Makefile").read_text()
    assert "$(BIN)/llmgov local examples/01-quickstart --play $(ARGS)" in makefile


def test_commands_are_found() -> None:
    shown = {command for page in PAGES for command in documented.commands(page)}
    assert "llmgov local examples/01-quickstart --once" in shown
    assert "llmgov validate examples/01-quickstart" in shown


def test_a_command_that_fails_is_noticed(tmp_path: pathlib.Path) -> None:
    with documented.Shell(tmp_path) as shell:
        assert "0 errors" in shell.run("llmgov validate examples/01-quickstart")
        with pytest.raises(AssertionError, match="exit code 2"):
            shell.run("llmgov get budgets")


def test_no_console_block_hides_a_command() -> None:
    """A continued or indented line would look like a command and not be run."""
    for page in documented.pages():
        inside = False
        for line in page.read_text().splitlines():
            if line.startswith("```"):
                inside = line == "```console"
            elif inside:
                assert line.startswith("$ "), f"{_name(page)}: {line}"
