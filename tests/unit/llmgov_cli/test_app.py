"""The command line as a whole: its version, its help, and what it says where nothing is."""

import io
import pathlib
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import llmgov
from llmgov_cli import app, commands, crds, errors, validate


def test_the_version_is_said() -> None:
    done = CliRunner().invoke(app.app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"llmgov {llmgov.__version__}\n")


def test_every_command_that_does_something_is_in_the_help_and_in_the_documentation() -> None:
    described = pathlib.Path("docs/cli.md").read_text()
    help_ = CliRunner().invoke(app.app, ["--help"]).stdout
    for command in ("hub", "operator", "sidecar", "local"):
        assert f"\n  {command} " in help_
        assert f"| `llmgov {command}" in described
    (line,) = [line for line in help_.splitlines() if line.startswith("  hub ")]
    assert "--migrate" in line


@pytest.mark.parametrize("command", [["local"], ["audit", "export"], ["crds"]], ids=" ".join)
def test_flags_take_no_value_in_the_help(command: list[str]) -> None:
    help_ = CliRunner().invoke(app.app, [*command, "--help"]).stdout
    assert "--help" in help_
    assert "bool" not in help_


def test_a_check_of_a_folder_that_is_not_there_says_so(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match=r"there is no folder .*/crds to check; name one with --out"):
        crds.run(tmp_path / "crds", io.StringIO(), check=True)


def test_what_is_said_of_a_folder_has_no_line(tmp_path: pathlib.Path) -> None:
    out = io.StringIO()
    with pytest.raises(errors.CommandError):
        validate.run([tmp_path], out)
    assert out.getvalue().startswith(f"{tmp_path}: warning: holds no resource")


def test_what_commands_run_is_imported_by_the_command_that_runs() -> None:
    listing = "import sys, llmgov_cli.app; print(*(name for name in sys.modules if name.startswith('llmgov')))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    named = pathlib.Path(commands.__file__).parent.glob("[a-z]*.py")
    groups = {f"llmgov_cli.commands.{path.stem}" for path in named}
    assert {"llmgov_cli.commands.spend", "llmgov_cli.commands.audit"} <= groups
    assert set(done.stdout.split()) == {"llmgov_cli", "llmgov_cli.app", "llmgov_cli.commands", *groups}
