"""One replica of the hub and the sidecars that talk to it: `python -m tests.bench.ledger_replica URL ORDER`.

The sidecars call it in its own process, so no network is between; their messages are made beforehand. It says `ready`,
waits for a line, and prints what came about as JSON. `bench_ledger` starts it.
"""

import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeAlias

import msgspec
import uvloop

from llmgov.ledger.messages import Epoch, Event, LeaseGrant
from llmgov_hub.hub import Hub
from llmgov_store.postgres.store import PostgresStore
from tests.bench.ledger_world import USD, Sidecar

PER_DELIVERY = 32
"""Attempts that a sidecar reports at a time: what one in steady use has in its spool by the time the hub has answered.
"""

GRACE_SECONDS = 10.0
"""How long what is under way may take when the time is over."""


class Order(msgspec.Struct, frozen=True):
    """What to measure: `what` is a name of `WORK`. Each sidecar asks `most` times, or less where `seconds` end before
    that; with a `pause` (in seconds) it waits so long after each answer. `run` makes names that no other order has."""

    what: str
    run: str
    clients: int
    most: int
    seconds: float
    replica: int = 0
    apart: bool = False
    pause: float = 0.0


class Outcome(msgspec.Struct, frozen=True):
    """`done` is what was acknowledged in `seconds`, of which the process's CPU ran `cpu`; latencies are in ms."""

    done: int
    seconds: float
    cpu: float
    p50: float
    p99: float


Asking: TypeAlias = Callable[[], Awaitable[object]]
"""One message of a sidecar; done when it is acknowledged."""


async def grants(hub: Hub, sidecar: Sidecar, order: Order) -> Sequence[Asking]:
    """Lease requests on all accounts."""
    requests = [sidecar.request(USD) for _ in range(order.most)]
    return [lambda request=request: _granted(hub.lease(request)) for request in requests]  # type: ignore[misc]


async def _granted(reply: Awaitable[object]) -> None:
    found = await reply
    if not isinstance(found, LeaseGrant):
        raise RuntimeError(f"nothing lent: {found}")


async def settlements(hub: Hub, sidecar: Sidecar, order: Order) -> Sequence[Asking]:
    """Deliveries of attempts that have ended, both halves of each."""
    halves = await _halves(hub, sidecar)
    return [_delivery(hub, _taken(halves, PER_DELIVERY)) for _ in range(order.most)]


async def second_halves(hub: Hub, sidecar: Sidecar, order: Order) -> Sequence[Asking]:
    """Deliveries of settlements whose intents are on record, as under strict audit."""
    halves = await _halves(hub, sidecar)
    deliveries = []
    for _ in range(order.most):
        pairs = list(itertools.islice(halves, PER_DELIVERY))
        await hub.deliver([intent for intent, _ in pairs])
        deliveries.append(_delivery(hub, [settlement for _, settlement in pairs]))
    return deliveries


async def intents(hub: Hub, sidecar: Sidecar, order: Order) -> Sequence[Asking]:
    """Intents under strict audit: each is on record before the next one of its sidecar."""
    halves = await _halves(hub, sidecar)
    return [_delivery(hub, [intent]) for intent, _ in itertools.islice(halves, order.most)]


WORK = {"grants": (grants, 1), "settlements": (settlements, PER_DELIVERY)}
WORK |= {"second halves": (second_halves, PER_DELIVERY), "intents": (intents, 1)}
"""What can be measured, and how many of it are in one message."""


async def _halves(hub: Hub, sidecar: Sidecar) -> Iterator[tuple[Event, Event]]:
    reply = await hub.lease(sidecar.request(10 * USD))
    assert isinstance(reply, LeaseGrant), reply
    return sidecar.halves(reply, reply.now)


def _taken(halves: Iterator[tuple[Event, Event]], number: int) -> list[Event]:
    return [half for pair in itertools.islice(halves, number) for half in pair]


def _delivery(hub: Hub, events: Sequence[Event]) -> Asking:
    return lambda: hub.deliver(events)


async def _ask(askings: Sequence[Asking], order: Order, end: float) -> list[float]:
    """One sidecar: one message after the other; how many seconds each took."""
    took = []
    for asking in askings:
        begin = time.perf_counter()
        if begin >= end:
            break
        await asking()
        took.append(time.perf_counter() - begin)
        if order.pause:
            await asyncio.sleep(order.pause)
    return took


async def _measure(askings: Sequence[Sequence[Asking]], order: Order, each: int) -> Outcome:
    begin, cpu = time.perf_counter(), time.process_time()
    async with asyncio.timeout(order.seconds + GRACE_SECONDS):
        found = await asyncio.gather(*(_ask(messages, order, begin + order.seconds) for messages in askings))
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    took = sorted(itertools.chain.from_iterable(found))
    p99 = took[min(len(took) - 1, len(took) * 99 // 100)]
    return Outcome(len(took) * each, seconds, cpu, statistics.median(took) * 1000, p99 * 1000)


async def main(url: str, order: Order) -> None:
    """Set up, wait for the word, measure, and stay for as long as somebody looks."""
    store = await PostgresStore.open(url)
    try:
        hub = Hub(store, await store.clock(), writer=f"{order.run}-{order.replica}")
        await hub.configuration.resume()
        work, each = WORK[order.what]
        askings = []
        for number in range(order.clients):
            epoch = await hub.register(f"pod-{order.run}-{order.replica}-{number}")
            sidecar = Sidecar(order.replica, number, Epoch(epoch.holder, epoch.number), order.apart)
            askings.append(await work(hub, sidecar, order))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        outcome = await _measure(askings, order, each)
        print(msgspec.json.encode(outcome).decode(), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    finally:
        await store.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], msgspec.json.decode(sys.argv[2], type=Order)))
