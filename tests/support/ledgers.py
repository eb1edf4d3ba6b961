"""Accounts, subjects and stores for tests of the ledger, with everything beside the point filled in."""

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import pytest

from llmgov import instants, snapshot
from llmgov.ledger import messages
from llmgov.ledger.errors import BadInputError
from llmgov.ledger.messages import (
    Charged,
    Epoch,
    Intent,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    Outcome,
    Settlement,
    Subject,
)
from llmgov.ledger.store import Store
from llmgov.policy.decision import Charge
from llmgov.snapshot import Account, Period, Target, TargetKind, Threshold
from llmgov_store.memory import MemoryStore
from llmgov_store.postgres.store import PostgresStore
from llmgov_store.sqlite.store import SqliteStore
from tests.support import machine, postgres

NOW = instants.from_rfc3339("2026-11-24T08:00:00Z")
CENT = 10_000
USD = 1_000_000

TEAM = Target(TargetKind.TEAM, "payments")
PATH = ("workload/payments/app", "namespace/payments", "team/payments", "organization")


def account(
    target: Target = TEAM,
    limit: int = 5 * USD,
    period: Period = Period.MONTH,
    thresholds: tuple[Threshold, ...] | None = None,
    **fields: object,
) -> Account:
    """A monthly account of $5 for a team, in UTC, that blocks at 100 %."""
    key = snapshot.account_key("test", str(target), period, "UTC")
    if thresholds is not None:
        fields["thresholds"] = thresholds
    return Account(key, target, limit, period, "UTC", "Budget/llm-governance/payments", **fields)  # type: ignore[arg-type]


def charge(definition: Account | None = None) -> Charge:
    """The charge to an account."""
    definition = definition or account()
    return Charge(definition, definition.key)


def subject(**fields: object) -> Subject:
    """Whom attempts in these tests are for: `payments/app`, calling gpt-4o."""
    facts: dict[str, object] = {
        "namespace": "payments",
        "service_account": "app",
        "user": None,
        "teams": ("payments",),
        "path": PATH,
        "provider": "openai",
        "model": "gpt-4o",
        "operation": "chat.completions",
    }
    return Subject(**{**facts, **fields})  # type: ignore[arg-type]


def intent(
    attempt: str, hold: int, charged: tuple[Charged, ...] = (), at: int = NOW, who: Subject | None = None
) -> Intent:
    """What an attempt announced before dispatch."""
    return Intent(attempt, at, f"req-{attempt}", who or subject(), hold, charged, ("v1",))


def settlement(attempt: str, cost: int, at: int = NOW, outcome: Outcome = Outcome.SETTLED) -> Settlement:
    """How an attempt ended."""
    return Settlement(attempt, at, outcome, cost, {snapshot.Dimension.INPUT: 7}, 200, "gpt-4o")


def epoch(holder: str = "pod-1", number: int = 1) -> Epoch:
    """A boot of a sidecar."""
    return messages.Epoch(holder, number)


class Lender(Protocol):
    """A hub, or its leases."""

    async def register(self, holder: str) -> Epoch: ...

    async def lease(self, request: LeaseRequest) -> LeaseGrant | LeaseRefusal: ...


async def lease(hub: Lender, request: LeaseRequest) -> LeaseGrant | LeaseRefusal:
    """Ask as an epoch that may not have been given out yet: then its holder starts as often as that takes."""
    try:
        return await hub.lease(request)
    except BadInputError as error:
        if error.field != "epoch":
            raise
    while (await hub.register(request.epoch.holder)).number < request.epoch.number:
        pass
    return await hub.lease(request)


STORES = ("memory", "sqlite", pytest.param("postgres", marks=machine.requires("postgres")))


@contextlib.asynccontextmanager
async def opened(kind: str, folder: pathlib.Path) -> AsyncIterator[Store]:
    """A new store of one of `STORES`, closed in the end."""
    async with contextlib.AsyncExitStack() as ended:
        store = await _opened(kind, folder, ended)
        ended.push_async_callback(store.close)
        yield store


async def _opened(kind: str, folder: pathlib.Path, ended: contextlib.AsyncExitStack) -> Store:
    match kind:
        case "memory":
            return MemoryStore()
        case "sqlite":
            return SqliteStore.open(folder / "ledger.sqlite")
        case "postgres":
            database = await ended.enter_async_context(postgres.database())
            return await PostgresStore.open(database.hub)
        case _:
            raise AssertionError(kind)


def on_every_store(test: Callable[[Store], Awaitable[None]]) -> Callable[..., None]:
    """Run an async test once for each kind of store."""

    @pytest.mark.parametrize("kind", STORES)
    def run(kind: str, tmp_path: pathlib.Path) -> None:
        async def with_store() -> None:
            async with opened(kind, tmp_path) as store:
                await test(store)

        asyncio.run(with_store())

    run.__doc__ = test.__doc__
    return run
