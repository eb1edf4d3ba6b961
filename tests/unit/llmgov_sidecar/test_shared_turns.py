"""Rate limits of several sidecars in one process: who is counted together, and who waits for whom."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from llmgov.snapshot import OnExceed, Policy, RateLimit, Subject
from llmgov_sidecar.sidecar import system_clock
from llmgov_sidecar.turns import Turns
from tests.unit.llmgov_sidecar import harness, world


@contextlib.asynccontextmanager
async def two(
    policy: Policy, script: harness.Script, turns: Callable[[], Turns | None]
) -> AsyncIterator[tuple[world.World, harness.Client, harness.Client]]:
    """Clients of two sidecars in one namespace, shop/web and shop/desk."""
    async with world.world(script, [policy]) as made:
        document, clients, sidecars = world.document(made.provider.url, [policy]), [], []
        for name in ("web", "desk"):
            sidecar = made.make(
                turns=turns(), service_account=name, pod=f"pod-{name}", volume=made.folder / f"volume-{name}"
            )
            await sidecar.configuration.apply(document, world.NOBODY, world.KEYS)
            await sidecar.start()
            sidecars.append(sidecar)
            clients.append(await harness.Client.to(sidecar.port))
        yield made, clients[0], clients[1]
        for client in clients:
            await client.close()
        for sidecar in sidecars:
            await sidecar.stop()


COUNTED = [
    ("the organization's requests together", Subject.ORGANIZATION, True, [200, 200, 429]),
    ("the namespace's requests together", Subject.NAMESPACE, True, [200, 200, 429]),
    ("each workload's requests by themselves", Subject.WORKLOAD, True, [200, 200, 200]),
    ("nothing together where nothing is shared", Subject.ORGANIZATION, False, [200, 200, 200]),
]


@pytest.mark.parametrize(("per", "shared", "expected"), [c[1:] for c in COUNTED], ids=[c[0] for c in COUNTED])
def test_two_sidecars_count(per: Subject, shared: bool, expected: list[int]) -> None:
    policy = Policy("root/rate", 1, RateLimit(per, OnExceed.BLOCK, 0, requests_per_minute=2))
    turns = Turns(system_clock)

    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        async with two(policy, script, lambda: turns if shared else None) as (_, web, desk):
            replies = [await client.ask(world.CHAT, world.chat()) for client in (web, desk, desk)]
            assert [reply.status for reply in replies] == expected

    harness.run(main())


def test_a_request_waits_for_one_that_runs_in_the_other_sidecar() -> None:
    policy = Policy("root/rate", 1, RateLimit(Subject.NAMESPACE, OnExceed.THROTTLE, 5_000_000, concurrent=1))
    turns = Turns(system_clock)

    async def main() -> None:
        release = asyncio.Event()

        async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            writer.write(harness.whole(world.chat_answer()))

        async with two(policy, script, lambda: turns) as (made, web, desk):
            web.send(harness.request(world.CHAT, world.chat()))
            await made.provider.asked.wait()
            desk.send(harness.request(world.CHAT, world.chat()))
            while not turns._waiting:  # noqa: ASYNC110 - nothing else says when
                await asyncio.sleep(0.01)
            assert len(made.provider.seen) == 1
            release.set()
            replies = [await client.reply() for client in (web, desk)]
            assert [reply.status for reply in replies] == [200, 200]
            assert replies[1].header("x-llmgov-decision") == "throttle"

    harness.run(main())
