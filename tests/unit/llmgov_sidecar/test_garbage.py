"""A request leaves nothing for the garbage collector: bodies are freed as soon as their answer is out."""

import gc

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
            gc.disable()
            try:
                # A busy machine takes slower ways, which leave a few small objects; an answer's own parts are dozens.
                found = [await _garbage_of_twenty(client, body, status) for _ in range(3)]
                assert min(found) < 10 * 20
            finally:
                gc.enable()
                await client.close()

    harness.run(test())


async def _garbage_of_twenty(client: harness.Client, body: bytes, status: int) -> int:
    gc.collect()
    for _ in range(20):
        assert (await client.ask(world.CHAT, body)).status == status
    return gc.collect()
