"""CHANGELOG.md names every command that there is, so that none arrives or leaves unsaid."""

import pathlib
import re

from llmgov_cli import app, later

TEXT = (pathlib.Path(__file__).parents[3] / "CHANGELOG.md").read_text()
UNRELEASED = TEXT.split("## [Unreleased]\n", 1)[1].split("\n## [", 1)[0]


def _commands() -> set[str]:
    named = {command.name or getattr(command.callback, "__name__", "") for command in app.app.registered_commands}
    grouped = {group.name or "" for group in app.app.registered_groups}
    return (named | grouped) - later.COMES_WITH.keys()


def test_every_command_is_in_the_changelog() -> None:
    words = {word for quoted in re.findall(r"`([^`]+)`", UNRELEASED) for word in quoted.split()}
    assert {"local", "prices", "audit"} <= _commands()
    assert _commands() - words == set()


def test_no_command_that_is_yet_to_come_is_in_the_changelog() -> None:
    quoted = set(re.findall(r"`(?:llmgov )?([a-z-]+)[^`]*`", UNRELEASED))
    assert quoted & later.COMES_WITH.keys() == set()
