"""A request leaves nothing for the garbage collector: bodies are freed as soon as their answer is out."""

import contextlib
import gc
from collections.abc import Iterator

import pytest

from tests.unit.llmgov_sidecar import harness, world

ANSWER = harness.whole(world.chat_answer())
STREAM = (
    world.STREAM_HEAD,
    *(harness.chunk(event) for event in (world.piece("hi"), world.piece("", "stop"), world.usage_event(), world.DONE)),
    b"0\r\n\r\n",
)


@pytest.mark.parametrize(
    ("script", "body", "status"),
    [
        pytest.param((ANSWER,), world.chat(), 200, id="an answer"),
        pytest.param(STREAM, world.chat(stream=True), 200, id="a stream"),
        pytest.param((ANSWER,), b"{", 400, id="a refusal"),
    ],
)
def test_a_request_leaves_no_cycles_behind(script: tuple[bytes, ...], body: bytes, status: int) -> None:
    async def test() -> None:
        async with world.world(harness.says(*script)) as w:
            client = await w.client()
            assert (await client.ask(world.CHAT, body)).status == status
            await w.on_record()
            with _garbage_of_ours() as found:
                for _ in range(20):
                    assert (await client.ask(world.CHAT, body)).status == status
            assert found == set()
            await client.close()

    harness.run(test())


@contextlib.contextmanager
def _garbage_of_ours() -> Iterator[set[str]]:
    """The types of our objects that only the collector freed; what else runs in the process leaves cycles, too."""
    found: set[str] = set()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found |= {type(each).__name__ for each in gc.garbage if type(each).__module__.startswith("llmgov")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
