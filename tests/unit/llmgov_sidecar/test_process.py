"""A real `llmgov sidecar` process: what it imports, how it starts and ends, and what it says."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest

FORBIDDEN = {
    "aiohttp", "aiosmtplib", "alembic", "asyncpg", "jinja2", "kopf", "kubernetes", "opentelemetry", "prometheus_client",
    "pydantic", "redis", "rich", "sqlite3", "structlog", "typer", "watchfiles", "yaml",
    "llmgov.compiler", "llmgov.resources", "llmgov_cli.app", "llmgov_hub", "llmgov_store",
}  # fmt: skip

LIST_MODULES = """
import atexit, json, os, runpy, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules))))
sys.argv = {argv}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def environment(folder: pathlib.Path, **more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("LLMGOV_")}
    given = {
        "LLMGOV_VOLUME": str(folder),
        "LLMGOV_PORT": "0",
        "LLMGOV_ADMIN_PORT": "0",
        "LLMGOV_ADMIN_HOST": "127.0.0.1",
    }
    return own | given | more


def listening(process: subprocess.Popen[bytes]) -> dict[str, int]:
    assert process.stderr is not None
    for line in process.stderr:
        said = json.loads(line)
        if said["event"] == "listening":
            return said
    raise AssertionError("the sidecar ended before it listened")


def ask(port: int, raw: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(raw)
        return client.recv(65536)


@pytest.mark.parametrize(
    ("module", "argv"),
    [("llmgov_sidecar", ["llmgov_sidecar"]), ("llmgov_cli.main", ["llmgov", "sidecar"])],
    ids=["python -m llmgov_sidecar", "llmgov sidecar"],
)
def test_the_process_holds_none_of_the_control_planes_libraries(
    tmp_path: pathlib.Path, module: str, argv: list[str]
) -> None:
    if module == "llmgov_cli.main":
        code = LIST_MODULES.format(argv=argv, module="llmgov_cli.main").replace(
            "runpy.run_module('llmgov_cli.main', run_name=\"__main__\", alter_sys=True)",
            "from llmgov_cli.main import main; main()",
        )
    else:
        code = LIST_MODULES.format(argv=argv, module=module)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
    )
    said = listening(process)
    answer = ask(said["port"], b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"no configuration" in answer
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    loaded = set(json.loads(out.splitlines()[-1]))
    assert loaded & FORBIDDEN == set()
    assert {"httptools", "uvloop", "msgspec", "re2"} <= {name.split(".")[0] for name in loaded}


def test_probes_answer_and_a_wrong_setting_is_named(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "llmgov_sidecar"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(tmp_path))
    said = listening(process)
    assert ask(said["admin_port"], b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 0
    for wrong in ({"LLMGOV_PROT": "1"}, {"LLMGOV_PORT": "many"}):
        done = subprocess.run(command, env=environment(tmp_path, **wrong), capture_output=True, timeout=20)
        assert done.returncode == 2
        assert b"LLMGOV_" in done.stderr
    usage = subprocess.run([*command, "--help"], env=environment(tmp_path), capture_output=True, timeout=20)
    assert usage.returncode == 0
    assert b"LLMGOV_DRAIN_SECONDS" in usage.stdout
