"""What `llmgov local` prints while it serves works where it is pasted."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from tests.support import documented, localmode

_LINE = re.compile(r"^  (?:export \S+|curl .+)$", re.MULTILINE)

APPLICATION = "import openai; print(openai.OpenAI().models.list().data[0].id)"


def _pasted(said: str, *further: str) -> str:
    """What a new shell prints, behind a corporate proxy that answers nothing, given all lines and `further`."""
    elsewhere = {"http_proxy": "http://127.0.0.1:9", "PATH": os.environ["PATH"]}
    script = "\n".join((*_LINE.findall(said), "unset http_proxy", *further))
    done = subprocess.run(
        ["bash", "-eu"], input=script, env=elsewhere, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", sorted(path.parent.name for path in localmode.EXAMPLES.glob("*/traffic.yaml")))
def test_the_curl_line_is_answered_by_the_model(example: str, tmp_path: pathlib.Path) -> None:
    with documented.Shell(tmp_path) as shell:
        said = shell.run(f"llmgov local examples/{example} --as payments/checkout=0")
        assert len(re.findall(r"^  curl ", said, re.MULTILINE)) == 1
        assert '"You said: Say hello"' in _pasted(said)
        assert "settlement" in shell.run("llmgov audit show")


def test_an_application_needs_only_the_variables(tmp_path: pathlib.Path) -> None:
    with documented.Shell(tmp_path) as shell:
        said = shell.run("llmgov local examples/01-quickstart --as payments/checkout=0")
        assert "gpt" in _pasted(said, f"{sys.executable} -c '{APPLICATION}'").splitlines()[-1]
