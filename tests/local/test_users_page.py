"""docs/users.md: every line that it tells an application to run is run, and counts for the user of the token."""

import io
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from llmgov_cli import spend
from tests.sdk import people
from tests.support import localmode

PAGE = (localmode.ROOT / "docs" / "users.md").read_text()
BLOCKS = re.findall(r"^```(sh|python)\n(.+?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def _settings() -> str:
    settings = {
        "apiVersion": "llmgov.dev/v1alpha1",
        "kind": "GovernanceSettings",
        "metadata": {"name": "default"},
        "spec": {
            "identity": {
                "issuers": [
                    {
                        "issuer": people.ISSUER,
                        "audience": people.AUDIENCE,
                        "algorithms": ["ES256"],
                        "jwks": people.key_set(),
                    }
                ]
            }
        },
    }
    return json.dumps(settings)


def _environment(port: int, token: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    return kept | {
        "PATH": path,
        "TOKEN": token,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "OPENAI_API_KEY": "llmgov-placeholder",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
        "ANTHROPIC_API_KEY": "llmgov-placeholder",
    }


def _spent(state: pathlib.Path, user: str) -> int:
    """How many attempts the report has of the user."""
    out = io.StringIO()
    spend.run("user", state, "json", out)
    return sum(line["attempts"] for line in json.loads(out.getvalue())["lines"] if line["user"] == user)


def test_the_page_shows_curl_and_both_sdks() -> None:
    assert [language for language, _ in BLOCKS] == ["sh", "python", "python", "sh"]
    assert all(word in PAGE for word in ("curl ", "anthropic.Anthropic()", "api_key=os.environ", "x-llmgov-token"))


def test_every_line_for_applications_works_and_counts_for_the_user(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "credentials.yaml").write_text((localmode.QUICKSTART / "credentials.yaml").read_text())
    (folder / "settings.yaml").write_text(_settings())
    with localmode.serving(folder, tmp_path / "state") as local:
        for number, (language, text) in enumerate(BLOCKS):
            user = f"user-{number}@example.com"
            command = ["sh", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
            environment = _environment(local.port(), people.token(user))
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip()
            if "models.list" not in text:
                calls = text.count(".create(") or text.count("curl ")
                _until_spent(local.state_folder, user, calls)
        stale = _environment(local.port(), people.token("late@example.com", exp=1))
        refused = subprocess.run(["sh", "-ec", BLOCKS[0][1]], env=stale, capture_output=True, text=True, timeout=60)
        assert refused.returncode != 0, "a token that does not hold is no placeholder"
        assert "401" in refused.stderr


def _until_spent(state: pathlib.Path, user: str, calls: int) -> None:
    until = time.monotonic() + 5
    while (found := _spent(state, user)) != calls and time.monotonic() < until:
        time.sleep(0.05)
    assert found == calls


@pytest.mark.parametrize("field", ["issuer", "audience", "algorithms", "jwks"])
def test_the_page_shows_every_field_that_an_issuer_needs(field: str) -> None:
    assert f"{field}: " in PAGE
