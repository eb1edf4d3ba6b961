"""`llmgov mock-provider` as a process: its port, its seed, and how it ends."""

import re
import signal
import subprocess
import sys

import openai
import pytest


def answer_id(*arguments: str) -> str:
    """The id of the first answer of a mock started with `arguments`."""
    command = [sys.executable, "-m", "llmgov_cli.main", "mock-provider", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = re.match(r"OPENAI_BASE_URL=(\S+) OPENAI_API_KEY=(\S+)", process.stdout.readline())
        assert said is not None
        with openai.OpenAI(base_url=said[1], api_key=said[2]) as client:
            answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    return answer.id


def test_the_seed_decides_the_ids() -> None:
    plain, same, other = answer_id(), answer_id("--seed", "0"), answer_id("--seed", "7")
    assert plain == same != other


@pytest.mark.parametrize("seed", ["x", "1.5"])
def test_a_seed_that_is_no_whole_number_is_a_wrong_use(seed: str) -> None:
    command = [sys.executable, "-m", "llmgov_cli.main", "mock-provider", "--seed", seed]
    assert subprocess.run(command, capture_output=True).returncode == 2
