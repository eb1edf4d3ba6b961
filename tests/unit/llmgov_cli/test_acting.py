"""Who acts, as it goes on record: nobody chooses the name."""

import os
import subprocess

import pytest

from llmgov_cli import acting


@pytest.fixture
def user() -> str:
    """The name of this process's user, as the system's own program knows it."""
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", ["LOGNAME", "USER", "LNAME", "USERNAME"])
def test_no_variable_of_the_environment_changes_the_name(name: str, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "ceo")
    assert acting.actor() == user


def test_the_login_of_a_database_stands_beside_the_name(user: str) -> None:
    assert acting.actor("hub") == f"{user} (login hub)"


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_011)
    assert acting.actor() == "uid 2000000011"
