"""`llmgov mock-provider` as a process: it says where it listens, serves, and ends when told."""

import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from llmgov_cli import errors
from llmgov_cli.mock_provider import main

_RUN = """
import sys
from llmgov_cli.mock_provider import main
code = main.run(0)
print([name for name in sys.modules if name.startswith(("llmgov.wire", "llmgov.prices"))])
sys.exit(code)
"""


def test_the_process_says_where_it_is_and_shares_nothing_with_the_parsers_that_it_tests() -> None:
    with subprocess.Popen([sys.executable, "-c", _RUN], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        openai, anthropic = process.stdout.readline().split(), process.stdout.readline().split()
        base = anthropic[0].removeprefix("ANTHROPIC_BASE_URL=")
        assert openai == [f"OPENAI_BASE_URL={base}/v1", "OPENAI_API_KEY=mock-openai-key"]
        assert anthropic[1] == "ANTHROPIC_API_KEY=mock-anthropic-key"
        with urllib.request.urlopen(f"{base}/mock/requests", timeout=5) as answer:  # noqa: S310 - our own port
            assert answer.read() == b"[]"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "[]\n"
        assert process.wait(5) == 0


def test_a_port_that_is_taken_is_said_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(errors.CommandError, match=f"cannot listen on 127.0.0.1:{port}"):
            main.run(port)
