"""One of several processes that send requests at once.

`python -m tests.support.load_client` reads a `Load` as JSON from its input, says `ready`, begins when it reads another
line, and prints what became of each request.
"""

import asyncio
import itertools
import json
import pathlib
import subprocess
import sys
import time

import msgspec

from tests.support import raw_http

ROOT = pathlib.Path(__file__).parents[2]


class Load(msgspec.Struct, frozen=True):
    """`requests` to `ports` in turn, `at_once` of them at any time.

    `text` is what the mock reads, `most` the output maximum.
    """

    ports: tuple[int, ...]
    requests: int
    at_once: int
    model: str
    text: str
    most: int


class Answered(msgspec.Struct, frozen=True):
    """One answer: its status (0: none), and when it was sent and answered (microseconds since the epoch)."""

    status: int
    sent: int
    answered: int


def send_all(loads: list[Load]) -> list[Answered]:
    """What becomes of all requests of as many processes, which begin together."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.load_client"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        for _ in loads
    ]
    for process, load in zip(processes, loads, strict=True):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(load) + b"\n")
        assert process.stdout.readline() == b"ready\n"
    outputs = []
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
    for process in processes:
        output, _ = process.communicate(timeout=100)
        outputs.append(msgspec.json.decode(output, type=list[Answered]))
    return list(itertools.chain.from_iterable(outputs))


async def _run(load: Load) -> list[Answered]:
    turns = iter(range(load.requests))
    answered: list[Answered] = []

    async def one_after_the_other() -> None:
        answered.extend([await _ask(load, number) for number in turns])

    async with asyncio.TaskGroup() as tasks:
        for _ in range(load.at_once):
            tasks.create_task(one_after_the_other())
    return answered


async def _ask(load: Load, number: int) -> Answered:
    body = {
        "model": load.model,
        "max_completion_tokens": load.most,
        "messages": [{"role": "user", "content": load.text}],
    }
    headers = (("content-type", "application/json"), ("authorization", "Bearer placeholder"))
    sent = time.time_ns() // 1000
    port = load.ports[number % len(load.ports)]
    reply = await raw_http.post(port, "/v1/chat/completions", json.dumps(body).encode(), headers)
    return Answered(reply.status or 0, sent, time.time_ns() // 1000)


def main() -> None:
    """Read, wait, send, say."""
    load = msgspec.json.decode(sys.stdin.buffer.readline(), type=Load)
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    sys.stdin.buffer.readline()
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_run(load))))


if __name__ == "__main__":
    main()
