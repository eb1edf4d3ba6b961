"""The command line as a whole: its version, its help, and what it says where nothing is."""

import io
import pathlib

import pytest
from typer.testing import CliRunner

import llmgov
from llmgov_cli import app, crds, errors, validate


def test_the_version_is_said() -> None:
    done = CliRunner().invoke(app.app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"llmgov {llmgov.__version__}\n")


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
