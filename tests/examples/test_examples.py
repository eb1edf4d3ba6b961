"""Every example, as its reader would use it: the real command in a process of its own, in a folder of its own."""

import decimal
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from tests.support import documented
from tests.support.documented import ROOT

FOLDERS = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
EXAMPLES = [path for path in FOLDERS if (path / "traffic.yaml").exists()]
"""Those for local mode; tests/cluster has the others."""

NAMES = [example.name for example in EXAMPLES]

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)


def _llmgov(*arguments: str, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llmgov_cli.main", *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60)


def _explained(done: subprocess.CompletedProcess[str]) -> str:
    return f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"


def test_the_examples_of_the_plan_are_there() -> None:
    assert [path.name for path in FOLDERS] == [
        "01-quickstart",
        "02-teams-and-budgets",
        "03-pii-protection",
        "04-dry-run",
        "05-templates-and-compliance",
        "06-gitops",
    ]


@each_example
def test_readme_says_what_to_run_and_where_to_look(example: pathlib.Path) -> None:
    text = (example / "README.md").read_text()
    assert text.startswith("# ")
    assert f"$ llmgov local examples/{example.name} --once" in text
    assert f"$ llmgov policy test examples/{example.name}" in text
    assert "Look at" in text


@each_example
def test_resources_are_valid(example: pathlib.Path, tmp_path: pathlib.Path) -> None:
    done = _llmgov("validate", str(example), cwd=tmp_path)
    assert done.returncode == 0, _explained(done)
    assert " 0 errors," in done.stdout
    unexplained = [line for line in done.stdout.splitlines() if " warning: " in line and not _is_explained(line)]
    assert unexplained == []


def _is_explained(warning: str) -> bool:
    """Whether the warned line, or the one above it, has a comment that says why it stays."""
    file, number, _ = warning.split(":", 2)
    lines = pathlib.Path(file).read_text().splitlines()
    return any("#" in line for line in lines[int(number) - 2 : int(number)])


@each_example
def test_what_the_readme_shows_works(example: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Its traffic through the SDKs, its cases, and the commands that look at what happened."""
    with documented.Shell(tmp_path) as shell:
        for command in documented.commands(example / "README.md"):
            printed = shell.run(command)
            assert "FAILED" not in printed, printed
            assert printed.strip()


def _copy(example: str, into: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(ROOT / "examples" / example, into / example))


def _replace(file: pathlib.Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def test_a_wrong_expectation_of_a_case_fails(tmp_path: pathlib.Path) -> None:
    example = _copy("04-dry-run", tmp_path)
    _replace(example / "cases.yaml", "violations: [sensitive_model]", "violations: [model_denied]")
    done = _llmgov("policy", "test", str(example), cwd=tmp_path)
    assert done.returncode == 1, _explained(done)
    assert re.search("a sensitive model asks nobody: expected .*model_denied, got .*sensitive_model", done.stdout)


def test_a_wrong_expectation_of_the_traffic_fails(tmp_path: pathlib.Path) -> None:
    example = _copy("04-dry-run", tmp_path)
    _replace(example / "traffic.yaml", 'text: "You said: Decide"', 'text: "You said: No"')
    done = _llmgov("local", str(example), "--once", cwd=tmp_path)
    assert done.returncode == 1, _explained(done)
    assert "FAILED" in done.stdout
    assert "text: expected to contain 'You said: No'" in done.stdout


def test_a_policy_that_no_longer_enforces_fails_the_cases(tmp_path: pathlib.Path) -> None:
    """The cases are about the policies: taking one out of force must not go unnoticed."""
    example = _copy("03-pii-protection", tmp_path)
    _replace(example / "policies.yaml", "  priority: 210\n", "  priority: 210\n  enforcement: DryRun\n")
    done = _llmgov("policy", "test", str(example), cwd=tmp_path)
    assert done.returncode == 1, _explained(done)
    assert "keys are blocked everywhere: expected action deny" in done.stdout


def test_a_team_without_namespaces_shows_what_is_spent_below_it(tmp_path: pathlib.Path) -> None:
    played = _llmgov("local", str(ROOT / "examples" / "02-teams-and-budgets"), "--once", cwd=tmp_path)
    assert played.returncode == 0, _explained(played)
    done = _llmgov("get", "teams", "-o", "json", cwd=tmp_path)
    teams = {each["metadata"]["name"]: each["status"] for each in json.loads(done.stdout)["items"]}
    spent = {name: decimal.Decimal(status["spent"]) for name, status in teams.items()}
    assert teams["search"]["path"] == ["search", "engineering"]
    assert spent["engineering"] == spent["payments"] + spent["search"] > 0
