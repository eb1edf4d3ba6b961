"""Which accounts a request is decided by: those in force, whatever its sender has heard of, and not without end."""

import msgspec
import pytest

from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Charged, LeaseGrant, LeaseRefusal, LeaseRequest, Need, Why
from llmgov.ledger.store import Store
from llmgov.snapshot import (
    Account,
    Match,
    OrganizationPart,
    Period,
    Settings,
    Target,
    TargetKind,
    Threshold,
    ThresholdAction,
    user_account_key,
)
from llmgov_hub.hub import Hub
from llmgov_hub.leases import Leases
from llmgov_hub.recalls import Recalls
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, USD, on_every_store

TEAM = ledgers.account()
ORGANIZATION = ledgers.account(Target(TargetKind.ORGANIZATION), limit=50 * CENT)
EACH = ledgers.account(Target(TargetKind.USER), limit=USD)
JANE = ("user/jane", *ledgers.PATH)


def hub(store: Store) -> Hub:
    return Hub(store, lambda: NOW, recall_wait_seconds=0)


async def publish(services: Hub, *accounts: Account) -> None:
    await services.configuration.publish({"organization": OrganizationPart("test", accounts=accounts)})


def request(
    least: int,
    number: int = 1,
    *needs: Account,
    path: tuple[str, ...] = ledgers.PATH,
    accounts: tuple[str, ...] | None = None,
) -> LeaseRequest:
    wanted = tuple(Need(each.key, each, least, least) for each in needs or (TEAM,))
    keys = tuple(need.key for need in wanted) if accounts is None else accounts
    return LeaseRequest(ledgers.epoch(), number, wanted, path, accounts=keys, least=least)


async def lend(services: Hub, wanted: LeaseRequest) -> LeaseGrant | LeaseRefusal:
    return await ledgers.lease(services.leases, wanted)


@on_every_store
async def test_a_budget_that_the_sidecar_has_not_heard_of_refuses_and_names_itself(store: Store) -> None:
    services = hub(store)
    await publish(services, TEAM, ORGANIZATION)
    reply = await lend(services, request(60 * CENT))
    assert isinstance(reply, LeaseRefusal)
    assert (reply.why, reply.key, reply.remaining) == (Why.EXHAUSTED, ORGANIZATION.key, 50 * CENT)
    assert {row.leased for row in await store.windows(NOW)} == {0}


@on_every_store
async def test_it_lends_nothing_and_is_charged_when_the_attempt_is_settled(store: Store) -> None:
    services = hub(store)
    await publish(services, TEAM, ORGANIZATION)
    reply = await lend(services, request(20 * CENT))
    assert isinstance(reply, LeaseGrant)
    assert [lease.key for lease in reply.leases] == [TEAM.key]
    charged = (Charged(reply.leases[0].id, TEAM.key, 20 * CENT),)
    await services.deliver(
        [ledgers.intent("pod-1:1/1", 20 * CENT, charged), ledgers.settlement("pod-1:1/1", 20 * CENT)]
    )
    spent = {row.account: row.spent for row in await store.windows(NOW)}
    assert spent == {TEAM.key: 20 * CENT, ORGANIZATION.key: 20 * CENT}
    assert isinstance(await lend(services, request(31 * CENT, 2)), LeaseRefusal)


@on_every_store
async def test_an_account_that_money_is_at_hand_of_is_not_left_out(store: Store) -> None:
    services = hub(store)
    await publish(services, TEAM, ORGANIZATION)
    whole = request(50 * CENT, 1, ORGANIZATION, accounts=(ORGANIZATION.key, TEAM.key))
    assert isinstance(await lend(services, whole), LeaseGrant)
    rest = request(50 * CENT, 2, TEAM, accounts=(ORGANIZATION.key, TEAM.key))
    assert isinstance(await lend(services, rest), LeaseGrant)


UNBOUND = {
    "one whose match the ledger cannot judge": msgspec.structs.replace(ORGANIZATION, match=Match(models=("x",))),
    "one in dry run": msgspec.structs.replace(ORGANIZATION, dry_run=True),
    "a policy's": ledgers.account(Target(TargetKind.POLICY, "ns/costs"), limit=1),
    "another team's": ledgers.account(Target(TargetKind.TEAM, "other"), limit=1),
    "another user's": ledgers.account(Target(TargetKind.USER, "joe"), limit=1),
}


@on_every_store
async def test_what_need_not_cover_the_request_does_not_refuse_it(store: Store) -> None:
    services = hub(store)
    for number, account in enumerate(UNBOUND.values(), 1):
        await publish(services, TEAM, account)
        assert isinstance(await lend(services, request(60 * CENT, number)), LeaseGrant), account


@on_every_store
async def test_a_withdrawn_account_lends_by_what_it_was_when_it_was_in_force(store: Store) -> None:
    """Whatever limit the sender says: a sidecar of the configuration before would say the same as the ledger has."""
    services = hub(store)
    await publish(services, TEAM, EACH, ORGANIZATION)
    await publish(services, ORGANIZATION)
    key = user_account_key(EACH.key, "jane")
    for number, (name, account) in enumerate(((TEAM.key, TEAM), (key, EACH)), 1):
        rich = msgspec.structs.replace(account, limit=10**15, thresholds=())
        for least, granted in ((30 * USD, False), (10 * CENT, True)):
            need = Need(name, rich, least, 10**6 * USD)
            at_hand = (ORGANIZATION.key,)
            asked = LeaseRequest(ledgers.epoch(), 10 * number + granted, (need,), JANE, accounts=at_hand, least=least)
            assert isinstance(await lend(services, asked), LeaseGrant) is granted
    leased = {row.account: row.leased for row in await store.windows(NOW)}
    assert leased == {TEAM.key: TEAM.limit // 2, key: EACH.limit // 2}, "half of what is left, not what is wanted"
    await publish(services, TEAM, EACH)
    assert {row.account: row.scope for row in await store.windows(NOW)} == {TEAM.key: "team/payments", key: "user/jane"}


@on_every_store
async def test_a_withdrawn_account_of_each_user_lends_by_what_it_was_last_and_not_when_its_user_last_asked(
    store: Store,
) -> None:
    services = hub(store)
    low = msgspec.structs.replace(EACH, limit=10 * CENT)
    for accounts in ((EACH,), (low,), ()):
        await publish(services, *accounts)
        if accounts == (EACH,):
            assert isinstance(await lend(services, of_jane(EACH, CENT, 1)), LeaseGrant)
    for number, said in enumerate((EACH, low), 2):
        reply = await lend(services, of_jane(said, 50 * CENT, number))
        assert isinstance(reply, LeaseRefusal)
        assert (reply.why, reply.limit) == (Why.EXHAUSTED, 10 * CENT)


def of_jane(account: Account, least: int, number: int) -> LeaseRequest:
    needs = (Need(user_account_key(account.key, "jane"), account, least, least),)
    return LeaseRequest(ledgers.epoch(), number, needs, JANE)


@on_every_store
async def test_who_names_no_account_at_all_is_refused_by_those_that_cover_it(store: Store) -> None:
    services = hub(store)
    await publish(services, TEAM, ORGANIZATION)
    reply = await lend(services, request(60 * CENT, accounts=()))
    assert isinstance(reply, LeaseRefusal)
    assert reply.key == ORGANIZATION.key


@on_every_store
async def test_each_users_budget_covers_the_user_on_the_path(store: Store) -> None:
    services = hub(store)
    await publish(services, TEAM, EACH)
    assert isinstance(await lend(services, request(2 * USD)), LeaseGrant)
    reply = await lend(services, request(2 * USD, 2, path=JANE))
    assert isinstance(reply, LeaseRefusal)
    assert reply.key == user_account_key(EACH.key, "jane")


def of(user: str, number: int = 1, least: int = CENT, path: tuple[str, ...] | None = None) -> LeaseRequest:
    key = user_account_key(EACH.key, user)
    path = (f"user/{user}", *ledgers.PATH) if path is None else path
    return LeaseRequest(ledgers.epoch(), number, (Need(key, EACH, least, least),), path, accounts=(key,), least=least)


@on_every_store
async def test_the_cap_is_the_settings_and_changes_with_them(store: Store) -> None:
    """Also at a replica that did not publish them, and that was told another one when it began."""
    publisher, other = hub(store), Hub(store, lambda: NOW, recall_wait_seconds=0, max_users=9)

    async def allow(most: int) -> None:
        part = OrganizationPart("test", Settings(max_users=most), accounts=(EACH,))
        await publisher.configuration.publish({"organization": part})

    async def why(user: str, number: int) -> Why | None:
        reply = await ledgers.lease(other, of(user, number))
        return reply.why if isinstance(reply, LeaseRefusal) else None

    await allow(1)
    assert await why("jane", 1) is None
    assert await why("joe", 2) is Why.USERS
    await allow(2)
    assert await why("joe", 3) is None
    assert await why("jack", 4) is Why.USERS
    await allow(1)
    assert await why("joe", 5) is None, "who has an account keeps it"
    assert await why("jill", 6) is Why.USERS


@on_every_store
async def test_users_beyond_the_cap_are_refused_and_leave_nothing_behind(store: Store) -> None:
    leases = Leases(store, Recalls(0), lambda: NOW, max_users=2)
    for number, user in enumerate(("jane", "joe"), 1):
        assert isinstance(await ledgers.lease(leases, of(user, number)), LeaseGrant)
    reply = await ledgers.lease(leases, of("jack", 3))
    assert isinstance(reply, LeaseRefusal)
    assert (reply.why, reply.limit, reply.source) == (Why.USERS, 2, EACH.source)
    assert isinstance(await ledgers.lease(leases, of("jane", 4)), LeaseGrant), "who has an account keeps it"
    assert len(await store.windows(NOW)) == 2
    daily = msgspec.structs.replace(ledgers.account(Target(TargetKind.USER), period=Period.DAY))
    key = user_account_key(daily.key, "jack")
    other = LeaseRequest(ledgers.epoch(), 5, (Need(key, daily, 1, 1),), ("user/jack",))
    assert isinstance(await ledgers.lease(leases, other), LeaseGrant), "each definition has a cap of its own"


@on_every_store
async def test_only_a_verified_user_has_an_account(store: Store) -> None:
    """Sidecars put a user on the path once a token has proved who it is."""
    with pytest.raises(BadInputError) as raised:
        await ledgers.lease(hub(store), of("jane", path=ledgers.PATH))
    assert (raised.value.fault, raised.value.field) == (Fault.FOREIGN, "needs[0].key")
    assert await store.windows(NOW) == []


@on_every_store
async def test_a_rate_is_fixed_for_a_window_and_belongs_to_its_currency(store: Store) -> None:
    services = hub(store)
    euros = ledgers.account(limit=10 * USD, currency="EUR", nano_usd=1_100_000_000)
    await publish(services, euros)
    assert isinstance(await lend(services, request(CENT, 1, euros)), LeaseGrant)
    dearer = msgspec.structs.replace(euros, nano_usd=2_000_000_000)
    await publish(services, dearer)
    reply = await lend(services, request(50 * USD, 2, dearer))
    assert isinstance(reply, LeaseRefusal)
    assert (reply.limit, reply.currency) == (11 * USD, "EUR"), "the rate of a window does not change"
    francs = msgspec.structs.replace(euros, currency="CHF", nano_usd=1_200_000_000)
    await publish(services, francs)
    reply = await lend(services, request(50 * USD, 3, francs))
    assert isinstance(reply, LeaseRefusal)
    assert (reply.limit, reply.currency, reply.nano_usd) == (12 * USD, "CHF", 1_200_000_000)


@on_every_store
async def test_a_moved_team_leaves_its_spend_where_it_was(store: Store) -> None:
    services = hub(store)
    other = ledgers.account(Target(TargetKind.TEAM, "research"))
    await publish(services, TEAM, other)
    for index, account in enumerate((TEAM, other), 1):
        path = ("namespace/payments", str(account.target))
        reply = await lend(services, request(20 * CENT, index, account, path=path))
        assert isinstance(reply, LeaseGrant)
        charged = (Charged(reply.leases[0].id, account.key, 20 * CENT),)
        who = ledgers.subject(path=path)
        id_ = f"pod-1:1/{index}"
        await services.deliver([ledgers.intent(id_, 20 * CENT, charged, who=who), ledgers.settlement(id_, 7 * index)])
    spent = {row.account: row.spent for row in await store.windows(NOW)}
    assert spent == {TEAM.key: 7, other.key: 14}


@on_every_store
async def test_no_lease_crosses_an_acting_threshold_of_an_account_that_was_left_out(store: Store) -> None:
    services = hub(store)
    steps = (Threshold(50, (ThresholdAction.REQUIRE_APPROVAL,)), Threshold(100, (ThresholdAction.BLOCK,)))
    await publish(services, TEAM, msgspec.structs.replace(ORGANIZATION, thresholds=steps))
    reply = await lend(services, request(26 * CENT))
    assert isinstance(reply, LeaseRefusal)
    assert (reply.why, reply.threshold) == (Why.APPROVAL, 50)
