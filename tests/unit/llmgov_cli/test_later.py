"""What the design names and is not here yet says so, in one sentence, and is not listed."""

import subprocess
import sys

import pytest

from llmgov_cli import later


def _llmgov(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llmgov_cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["doctor"], "doctor"),
        (["inject", "-f", "pod.yaml", "--", "x"], "inject"),
        (["local", ".", "--api", "8080"], "local --api"),
    ],
    ids=["no argument", "options that nobody knows", "an option of a command that is here"],
)
def test_what_is_to_come_says_with_what(arguments: list[str], command: str) -> None:
    done = _llmgov(*arguments)
    sentence = f"llmgov: {command} is not here yet: it comes with {later.COMES_WITH[command]}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence)


def test_help_lists_only_what_is_here_and_says_where_state_goes() -> None:
    listed = " ".join(_llmgov("--help").stdout.split())
    assert not [command for command in later.COMES_WITH if command != "hub" and f" {command} " in listed]
    help_of_local = " ".join(_llmgov("local", "--help").stdout.replace("│", " ").split())
    assert "default: a new one in .llmgov/" in help_of_local
    assert "--api" not in help_of_local
