"""Virtual time, and processes that can be paused and killed."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.simulator import loop
from tests.simulator.loop import KilledError, Loop, Process


def run(virtual: Loop, main: Coroutine[Any, Any, None]) -> None:
    virtual.run(virtual.spawn(loop.WORLD, main, "main"))


def test_time_jumps_to_what_is_due_next_and_what_is_due_together_keeps_its_order() -> None:
    virtual, seen = Loop(), list[tuple[str, int]]()

    async def sleep(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((name, virtual.now))

    async def main() -> None:
        await asyncio.gather(sleep("late", 3600), sleep("first", 1), sleep("second", 1))

    run(virtual, main())
    assert seen == [("first", 1_000_000), ("second", 1_000_000), ("late", 3_600_000_000)]


def test_a_killed_process_does_nothing_more_not_even_its_finally() -> None:
    virtual, seen, process = Loop(), list[str](), Process("p")

    async def work() -> None:
        try:
            await asyncio.sleep(2)
            seen.append("woke")
        finally:
            seen.append("finally")

    async def main() -> None:
        virtual.spawn(process, work(), "work")
        await asyncio.sleep(1)
        process.kill()
        await asyncio.sleep(5)

    run(virtual, main())
    assert seen == []
    virtual.close()


def test_a_process_can_die_in_the_middle_of_its_own_step() -> None:
    virtual, seen, process = Loop(), list[str](), Process("p")

    async def work() -> None:
        try:
            process.kill()
            raise KilledError
        except Exception:  # noqa: BLE001 - what the system itself does with failures
            seen.append("caught")

    async def main() -> None:
        virtual.spawn(process, work(), "work")
        await asyncio.sleep(1)

    run(virtual, main())
    assert seen == []


def test_what_a_process_starts_belongs_to_it() -> None:
    virtual, process, owners = Loop(), Process("p"), list[str]()

    async def child() -> None:
        owners.append(loop.current().name)

    async def work() -> None:
        await asyncio.gather(child(), asyncio.wait_for(child(), 1))
        virtual.call_later(1, lambda: owners.append(loop.current().name))
        virtual.after(2_000_000, lambda: owners.append(loop.current().name))
        await asyncio.sleep(3)

    async def main() -> None:
        await virtual.spawn(process, work(), "work")

    run(virtual, main())
    assert owners == ["p", "p", "p", "world"]


def test_a_paused_process_is_late_and_loses_nothing() -> None:
    virtual, process, seen = Loop(), Process("p"), list[int]()

    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            seen.append(virtual.now // 1_000_000)

    async def main() -> None:
        task = virtual.spawn(process, work(), "work")
        process.paused = True
        await asyncio.sleep(10)
        virtual.resume(process)
        await task

    run(virtual, main())
    assert seen == [11, 12, 13]


def test_a_thread_s_work_is_done_at_one_moment_and_known_of_at_a_later_one() -> None:
    virtual, seen = Loop(), list[tuple[str, int]]()
    virtual.io_delay = lambda: 500_000

    async def main() -> None:
        await virtual.run_in_executor(None, lambda: seen.append(("done", virtual.now)))
        seen.append(("known", virtual.now))

    run(virtual, main())
    assert seen == [("done", 500_000), ("known", 1_000_000)]


def test_a_failure_that_nobody_sees_is_told() -> None:
    virtual, told = Loop(), list[str]()
    virtual.failed = told.append

    async def main() -> None:
        virtual.call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    run(virtual, main())
    assert len(told) == 1
    assert "ZeroDivisionError" in told[0]


async def die() -> None:
    raise LookupError("nobody looks here")


def test_a_task_that_dies_is_told_though_nobody_waits_for_it() -> None:
    virtual, told, process = Loop(), list[str](), Process("p")
    virtual.failed = told.append

    async def main() -> None:
        virtual.spawn(process, die(), "work")
        await asyncio.sleep(1)

    run(virtual, main())
    assert told == ["p: work died of LookupError('nobody looks here')"]


def test_a_task_of_the_world_that_dies_is_an_error_of_the_simulator() -> None:
    virtual = Loop()

    async def main() -> None:
        virtual.spawn(loop.WORLD, die(), "weather")
        await asyncio.sleep(1)

    with pytest.raises(LookupError, match="nobody looks here"):
        run(virtual, main())
    virtual.close()
