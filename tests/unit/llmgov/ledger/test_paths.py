"""What a charging path may be, and which accounts it reaches: the ledger lends and charges along it alone."""

import asyncio

import msgspec
import pytest

from llmgov import instants
from llmgov.ledger import epochs, paths, pruning, recording, settling
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Charged, LeaseGrant, LeaseRequest, Need
from llmgov.ledger.rows import AccountRow, LedgerEpoch, scope
from llmgov.snapshot import Account, Match, OrganizationPart, Period, Target, TargetKind, user_account_key
from llmgov_hub.hub import Hub
from llmgov_store.memory import MemoryStore
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, PATH, USD

VICTIM = ledgers.account(Target(TargetKind.TEAM, "victims"))
EACH = ledgers.account(Target(TargetKind.USER))
JANE = (*PATH, "user/jane")


def each_of(around: str) -> Account:
    return msgspec.structs.replace(EACH, key=f"test|user@{around}|Month|UTC")


def costs(namespace: str, *where: str) -> Account:
    target = Target(TargetKind.POLICY, f"{namespace}/costs")
    return msgspec.structs.replace(ledgers.account(target), match=Match(namespaces=where))


@pytest.mark.parametrize(
    ("account", "key", "path", "missing"),
    [
        (ledgers.account(), "", PATH, ""),
        (VICTIM, "", PATH, "team/victims"),
        (ledgers.account(Target(TargetKind.ORGANIZATION)), "", PATH, ""),
        (ledgers.account(Target(TargetKind.NAMESPACE, "other")), "", PATH, "namespace/other"),
        (ledgers.account(Target(TargetKind.USER, "jane")), "", JANE, ""),
        (ledgers.account(Target(TargetKind.USER, "joe")), "", JANE, "user/joe"),
        (EACH, "jane", JANE, ""),
        (EACH, "jane", PATH, "user/jane"),
        (EACH, "joe", JANE, "user/joe"),
        (each_of("team/payments"), "jane", JANE, ""),
        (each_of("team/victims"), "jane", JANE, "team/victims"),
        (each_of("namespace/other"), "jane", JANE, "namespace/other"),
        (each_of("policy/llm-governance/costs"), "jane", JANE, ""),
        (costs("llm-governance"), "", (*PATH, "policy/llm-governance/costs"), ""),
        (costs("llm-governance"), "", PATH, "policy/llm-governance/costs"),
        (costs("llm-governance", "payments", "shop"), "", (*PATH, "policy/llm-governance/costs"), ""),
        (costs("payments", "payments"), "", (*PATH, "policy/payments/costs"), ""),
        (costs("other", "other"), "", (*PATH, "policy/other/costs"), "namespace/other"),
    ],
)
def test_an_account_is_reached_by_paths_that_name_what_it_counts(
    account: Account, key: str, path: tuple[str, ...], missing: str
) -> None:
    key = user_account_key(account.key, key) if key else account.key
    if not missing:
        paths.require_covered(account, key, path, "x")
        return
    with pytest.raises(BadInputError, match=f"x: .* counts {missing}, which is not on the charging path") as raised:
        paths.require_covered(account, key, path, "x")
    assert raised.value.fault is Fault.FOREIGN


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (JANE, ""),
        ((), ""),
        ((*PATH, "team/engineering"), ""),
        ((*PATH, "workload/payments/other"), "names more than one workload"),
        ((*PATH, "namespace/other"), "names more than one namespace"),
        ((*JANE, "user/joe"), "names more than one user"),
        (("workload/other/app", "namespace/payments"), "workload/other/app is of another namespace"),
        (("workload/payments/app",), "workload/payments/app is of another namespace"),
    ],
)
def test_a_path_is_one_workloads(path: tuple[str, ...], wrong: str) -> None:
    if not wrong:
        paths.require_consistent(path, "path")
        return
    with pytest.raises(BadInputError, match=f"path: {wrong}"):
        paths.require_consistent(path, "path")


class World:
    """A hub by whose configuration a team has a budget, and another one that a forger would like to use up."""

    def __init__(self, *accounts: Account) -> None:
        self.store = MemoryStore()
        self.hub = Hub(self.store, lambda: NOW, recall_wait_seconds=0)
        self.accounts = accounts

    async def begin(self) -> None:
        parts = {"organization": OrganizationPart("test", accounts=self.accounts)}
        await self.hub.configuration.publish(parts)
        await self.hub.register("evil")

    async def ask(self, key: str, account: Account, path: tuple[str, ...] = PATH, number: int = 1) -> object:
        request = LeaseRequest(ledgers.epoch("evil"), number, (Need(key, account, CENT, CENT),), path)
        return await self.hub.lease(request)


def test_an_account_that_never_was_in_force_lends_nothing_and_one_that_was_goes_on() -> None:
    """A sidecar may be of a configuration before the one in force: also where a user is new to it."""

    async def main() -> None:
        world = World(ledgers.account(), EACH)
        await world.begin()
        world.accounts = ()
        await world.begin()
        never = msgspec.structs.replace(ledgers.account(period=Period.DAY), limit=10**9 * USD)
        for number, (key, account) in enumerate([(never.key, never), (f"{each_of('x').key}|jane", each_of("x"))], 1):
            with pytest.raises(BadInputError, match="is not and never was in force") as raised:
                await world.ask(key, account, JANE, number)
            assert (raised.value.fault, raised.value.field) == (Fault.UNKNOWN, "needs[0].key")
        assert await world.store.windows(NOW) == []
        assert isinstance(await world.ask(ledgers.account().key, ledgers.account(), JANE, 3), LeaseGrant)
        assert isinstance(await world.ask(f"{EACH.key}|jane", EACH, JANE, 4), LeaseGrant)

    asyncio.run(main())


def test_a_lease_that_was_never_lent_charges_nobody() -> None:
    """Neither the team that the forger is no member of, nor its own: and the victims may still spend what is theirs."""

    async def main() -> None:
        world = World(ledgers.account(), VICTIM)
        await world.begin()
        for number, account in enumerate((VICTIM, ledgers.account()), 1):
            part = Charged(f"evil:1/7{number}/0", account.key, 9 * USD)
            await world.hub.deliver([ledgers.intent(f"evil:1/{number}", 9 * USD, (part,))])
        assert [row.reason for row in await world.store.violations(0, 2 * NOW)] == ["event_refused"] * 2
        assert await world.store.windows(NOW) == []
        with pytest.raises(BadInputError, match="counts team/victims, which is not on the charging path"):
            await world.ask(VICTIM.key, VICTIM)
        assert await world.store.windows(NOW) == []

    asyncio.run(main())


def book(generation: int, *, recovering: bool = False) -> Book:
    accounts = {one.key: AccountRow(one.key, scope(one, one.key), one) for one in (ledgers.account(), VICTIM)}
    life = LedgerEpoch("life", generation, NOW - instants.DAY, open=not recovering)
    return Book(accounts=accounts, ledger_epoch=life, database="life")


@pytest.mark.parametrize(
    ("number", "generation", "recovering", "back"),
    [
        (1, 1, False, False),
        (1, 1, True, True),
        (1, 2, False, True),
        (epochs.BOOTS, 2, False, True),
        (epochs.BOOTS + 1, 2, False, False),
    ],
    ids=[
        "nothing was lost ever",
        "the ledger recovers",
        "a boot of the life before",
        "the last boot of the life before",
        "a boot of this life",
    ],
)
def test_only_what_may_have_been_lost_comes_back(number: int, generation: int, recovering: bool, back: bool) -> None:
    rows = book(generation, recovering=recovering)
    intent = ledgers.intent(f"pod:{number}/1", CENT, (Charged(f"pod:{number}/2/0", ledgers.account().key, CENT),))
    if back:
        recording.record(rows, intent, NOW)
        assert intent.id in rows.put.attempts
    else:
        with pytest.raises(BadInputError, match=r"charged.0..lease: .* was never lent") as raised:
            recording.record(rows, intent, NOW)
        assert raised.value.fault is Fault.FOREIGN


def test_what_may_have_been_lost_comes_back_on_accounts_of_the_path_alone() -> None:
    rows = book(2)
    intent = ledgers.intent("pod:1/1", CENT, (Charged("pod:1/2/0", VICTIM.key, CENT),))
    with pytest.raises(BadInputError, match=r"charged.0..key: .* counts team/victims"):
        recording.record(rows, intent, NOW)


def test_a_lease_that_was_pruned_with_its_window_does_not_come_back_and_its_attempt_counts() -> None:
    rows, long_ago = book(1), NOW - pruning.KEEP
    intent = ledgers.intent("pod:1/1", CENT, (Charged("pod:1/2/0", ledgers.account().key, CENT),), at=long_ago)
    assert recording.record(rows, intent, NOW)
    settling.record(rows, ledgers.settlement("pod:1/1", CENT), NOW)
    assert (rows.leases, [spend.cost for spend in rows.put.spends]) == ({}, [CENT])


def test_events_are_taken_with_the_ledgers_epoch() -> None:
    """By which what may have been lost is told."""
    assert recording.lock([ledgers.intent("pod:1/1", CENT)], NOW).ledger_epoch
    assert not Lock().ledger_epoch
