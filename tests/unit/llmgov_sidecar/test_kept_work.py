"""Work beside requests that fails: it is begun anew, said to be failing, and nothing is lost or overtaken meanwhile."""

import asyncio
import contextlib
import pathlib
from collections.abc import Iterator

from llmgov.ledger.commands import Held
from llmgov.ledger.messages import Epoch, Settlement
from llmgov.snapshot import AuditMode, Settings
from llmgov_sidecar.calls import Calls, Waits
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.leasing import Leasing
from llmgov_sidecar.sidecar import system_clock
from llmgov_sidecar.tasks import Tasks
from tests.bench.bench_hub import BenchHub
from tests.unit.llmgov_sidecar import harness, world
from tests.unit.llmgov_sidecar.test_leasing import wish


@contextlib.contextmanager
def unreadable(spool: pathlib.Path) -> Iterator[None]:
    """The disk gives nothing back: the segments are still written, and cannot be opened."""
    segments = list(spool.glob("*.spool"))
    for segment in segments:
        segment.rename(segment.with_suffix(".away"))
    try:
        yield
    finally:
        for segment in segments:
            segment.with_suffix(".away").rename(segment)


async def ready(admin: harness.Client) -> str:
    reply = await admin.ask("/readyz", b"", method="GET")
    assert reply.status == 200
    return reply.body.decode()


def test_a_spool_that_cannot_be_read_is_delivered_when_it_can_and_told_until_then() -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer())), admin_port=0) as made:
            client, admin = await made.client(), await harness.Client.to(made.sidecar.admin_port)
            await made.sidecar.delivered(5)
            assert await ready(admin) == "ok\n"
            with unreadable(made.folder / "spool"):
                assert (await client.ask(world.CHAT, world.chat())).status == 200
                while await ready(admin) != "ok\nfailing: delivery\n":  # noqa: ASYNC110 - nothing else says when
                    await asyncio.sleep(0.01)
                text = (await admin.ask("/metrics", b"", method="GET")).body.decode()
                assert 'llmgov_background_failures_total{task="delivery"} ' in text
                assert "llmgov_background_failing 1\n" in text
                assert not await made.sidecar.delivered(0.01)
            settlement = await made.only(Settlement)
            assert settlement.cost == 75
            await client.close()
            await admin.close()

    harness.run(main())


def test_strict_audit_refuses_while_the_record_cannot_be_delivered() -> None:
    async def main() -> None:
        strict = Settings(audit=AuditMode.STRICT)
        script = harness.says(harness.whole(world.chat_answer()))
        async with world.world(script, settings=strict, strict_seconds=0.1) as made:
            client = await made.client()
            await made.sidecar.delivered(5)
            with unreadable(made.folder / "spool"):
                assert (await client.ask(world.CHAT, world.chat())).status == 503
            assert made.provider.seen == []
            assert await made.sidecar.delivered(5)
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await client.close()

    harness.run(main())


def test_what_waits_for_a_sync_waits_for_one_that_succeeds(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        failures: list[str] = []
        failed = asyncio.Event()

        def on_failure(name: str, _: BaseException) -> None:
            failures.append(name)
            failed.set()

        tasks = Tasks(on_failure)
        journal = Journal(tmp_path, 1_000_000, 10_000_000)
        calls = Calls(Waits(lease=5, tick=0.01), on_failure)
        leasing = Leasing(Epoch("pod-1", 1), BenchHub(), journal, system_clock, tasks, calls)
        broken = True
        sync = journal.sync

        async def sometimes() -> None:
            if broken:
                raise OSError("the disk is gone")
            await sync()

        journal.sync = sometimes  # type: ignore[method-assign]
        leasing.start()
        asking = asyncio.get_running_loop().create_task(leasing.hold(wish("1")))
        await failed.wait()
        leasing.settle("another", 0)
        await asyncio.sleep(0)
        assert not asking.done()
        broken = False
        assert isinstance(await asking, Held)
        assert failures == ["lease sync"]
        await tasks.stop()
        journal.close()

    harness.run(main())


def test_kept_work_ends_by_itself_alone() -> None:
    async def main() -> None:
        failures: list[str] = []
        tasks = Tasks(lambda name, _: failures.append(name))

        async def work() -> None:
            if len(failures) < 2:
                raise ValueError("not yet")

        await tasks.keep("work", work)
        assert failures == ["work", "work"]
        assert tasks.failing == []

    harness.run(main())
