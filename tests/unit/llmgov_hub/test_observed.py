"""Where nothing may be refused: the configuration in force says so, whatever a sidecar has heard or says."""

import asyncio
import contextlib
import itertools

import msgspec
import pytest

from llmgov.ledger.commands import Held, Send
from llmgov.ledger.errors import BadInputError
from llmgov.ledger.messages import LeaseGrant, LeaseRefusal, LeaseRequest, LeaseReturn, Need, Recall, Recount, Why
from llmgov.ledger.purse import Purse, Wish
from llmgov.ledger.store import Store
from llmgov.policy.decision import Charge
from llmgov.policy.runtime import Runtime
from llmgov.snapshot import (
    FORMAT,
    Account,
    NamespacePart,
    OrganizationPart,
    Part,
    PricePart,
    Settings,
    Snapshot,
    Target,
    TargetKind,
    user_account_key,
)
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, USD, on_every_store

TEAM = ledgers.account()
ORGANIZATION = ledgers.account(Target(TargetKind.ORGANIZATION), limit=50 * CENT)
ELSEWHERE = ("workload/shop/app", "namespace/shop", "team/payments", "organization")
ENFORCING, KILLED = Settings(), Settings(kill_switch=True)
FAR_BEYOND = 30 * USD


def hub(store: Store) -> Hub:
    return Hub(store, lambda: NOW, recall_wait_seconds=0)


def parts(
    *accounts: Account, settings: Settings = ENFORCING, observe: bool = False, namespace: str = "payments"
) -> dict[str, Part]:
    own = NamespacePart(namespace, observe)
    return {"organization": OrganizationPart("test", settings, accounts=accounts), f"namespace/{namespace}": own}


def request(
    number: int, *, enforced: bool, path: tuple[str, ...] = ledgers.PATH, least: int = FAR_BEYOND
) -> LeaseRequest:
    need = Need(TEAM.key, TEAM, least, least, enforced)
    return LeaseRequest(ledgers.epoch(), number, (need,), path, accounts=(TEAM.key,), least=least)


async def refuses(services: Hub, asked: LeaseRequest) -> bool:
    """Whether the team's limit does; nothing else is to."""
    reply = await ledgers.lease(services, asked)
    if isinstance(reply, LeaseRefusal):
        assert (reply.why, reply.key) == (Why.EXHAUSTED, TEAM.key)
        return True
    assert [lease.over for lease in reply.leases] == [100]
    return False


@on_every_store
async def test_a_sidecar_cannot_say_that_a_limit_is_not_enforced(store: Store) -> None:
    services = hub(store)
    await services.configuration.publish(parts(TEAM))
    assert await refuses(services, request(1, enforced=False))
    assert {row.leased for row in await store.windows(NOW)} == {0}


@on_every_store
async def test_before_any_configuration_was_in_force_there_is_its_word_alone(store: Store) -> None:
    services = hub(store)
    assert not await refuses(services, request(1, enforced=False))
    assert await refuses(services, request(2, enforced=True))


@on_every_store
async def test_a_dry_run_is_the_definitions_in_force_and_not_the_senders(store: Store) -> None:
    services = hub(store)
    await services.configuration.publish(parts(msgspec.structs.replace(TEAM, dry_run=True)))
    assert not await refuses(services, request(1, enforced=True)), "it has not heard of the dry run"
    await services.configuration.publish(parts(TEAM))
    assert await refuses(services, request(2, enforced=False)), "it has not heard of its end"


@on_every_store
async def test_a_withdrawn_account_is_enforced_where_the_configuration_in_force_enforces(store: Store) -> None:
    services = hub(store)
    await services.configuration.publish(parts(TEAM))
    await services.configuration.publish(parts())
    assert await refuses(services, request(1, enforced=False))
    await services.configuration.publish(parts(settings=KILLED))
    assert not await refuses(services, request(2, enforced=True))


@on_every_store
async def test_the_kill_switch_acts_from_its_publication_on_at_every_replica(store: Store) -> None:
    """Whatever sidecars and replicas have heard, when it is set and when it is taken back."""
    publisher, other = hub(store), hub(store)
    for number in range(1, 9, 4):
        await publisher.configuration.publish(parts(TEAM))
        assert await refuses(other, request(number, enforced=True))
        await publisher.configuration.publish(parts(TEAM, settings=KILLED))
        assert not await refuses(other, request(number + 1, enforced=True)), "it was not told yet"
        assert not await refuses(other, request(number + 2, enforced=False)), "it was told"
        await publisher.configuration.publish(parts(TEAM))
        assert await refuses(other, request(number + 3, enforced=False)), "it was not told of the end"


@on_every_store
async def test_a_namespace_that_observes_is_lent_to_and_no_other(store: Store) -> None:
    publisher, other = hub(store), hub(store)
    numbers = itertools.count(1)
    for observe in (True, False, True, False):
        await publisher.configuration.publish(parts(TEAM, observe=observe))
        for enforced in (False, True):
            assert await refuses(other, request(next(numbers), enforced=enforced)) is not observe
            assert await refuses(other, request(next(numbers), enforced=enforced, path=ELSEWHERE))


@on_every_store
async def test_a_request_of_no_namespace_is_enforced_but_for_the_kill_switch(store: Store) -> None:
    services = hub(store)
    await services.configuration.publish(parts(TEAM, observe=True))
    assert await refuses(services, request(1, enforced=False, path=("team/payments",)))
    await services.configuration.publish(parts(TEAM, settings=KILLED))
    assert not await refuses(services, request(2, enforced=True, path=("team/payments",)))


@on_every_store
async def test_what_the_sidecar_has_not_heard_of_refuses_it_only_where_anything_may(store: Store) -> None:
    services = hub(store)
    await services.configuration.publish(parts(TEAM, ORGANIZATION, observe=True))
    assert isinstance(await ledgers.lease(services, request(1, enforced=True, least=60 * CENT)), LeaseGrant)
    await services.configuration.publish(parts(TEAM, ORGANIZATION))
    reply = await ledgers.lease(services, request(2, enforced=False, least=60 * CENT))
    assert isinstance(reply, LeaseRefusal)
    assert reply.key == ORGANIZATION.key


@on_every_store
async def test_a_name_that_no_namespace_has_is_refused_before_it_is_looked_up(store: Store) -> None:
    services = hub(store)
    await services.configuration.publish(parts(TEAM))
    for name in ("namespace/\x00", f"namespace/{'x' * 2000}", "namespace/\ud800"):
        with pytest.raises(BadInputError) as raised:
            await ledgers.lease(services, request(1, enforced=True, path=(name, "team/payments")))
        assert raised.value.field.startswith("path")


def runtime(settings: Settings) -> Runtime:
    organization = OrganizationPart("test", settings, accounts=(TEAM,))
    return Runtime(Snapshot(FORMAT, organization, NamespacePart("payments"), PricePart()))


@on_every_store
async def test_what_was_lent_beyond_a_limit_is_not_held_from_once_it_is_enforced_again(store: Store) -> None:
    services, observing = hub(store), runtime(KILLED).definitions()
    await services.configuration.publish(parts(TEAM, settings=KILLED))
    purse = Purse(await services.register("pod-1"))
    purse.define(observing, NOW)
    charge = Charge(TEAM, TEAM.key, enforced=False)
    (asks,) = purse.hold(Wish("a", (charge,), FAR_BEYOND, FAR_BEYOND, ledgers.PATH), NOW)
    assert isinstance(asks, Send)
    assert isinstance(asks.message, LeaseRequest)
    reply = await services.lease(asks.message)
    assert isinstance(reply, LeaseGrant)
    assert [type(one) for one in purse.on_grant(reply, NOW)][-1] is Held
    purse.settle("a", 1, NOW)
    purse.define(observing, NOW)
    assert purse.idle(TEAM.key, NOW) == FAR_BEYOND - 1, "nothing has changed"
    returned = purse.define(runtime(ENFORCING).definitions(), NOW)
    assert [
        one.message.amount for one in returned if isinstance(one, Send) and isinstance(one.message, LeaseReturn)
    ] == [FAR_BEYOND - 1]
    assert purse.idle(TEAM.key, NOW) == 0


@on_every_store
async def test_idle_money_is_asked_back_where_the_kill_switch_is_set_or_taken_back(store: Store) -> None:
    services, asked = hub(store), list[Recall | Recount]()
    await services.configuration.publish(parts(TEAM))
    epoch = await services.register("pod-1")
    assert isinstance(await services.lease(request(1, enforced=True, least=CENT)), LeaseGrant)

    async def follow() -> None:
        async with contextlib.aclosing(services.recalls(epoch)) as recalls:  # type: ignore[type-var]
            async for recall in recalls:
                asked.append(recall)

    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow())
        await asyncio.sleep(0)
        for number, settings in enumerate((KILLED, KILLED, ENFORCING), 1):
            other = NamespacePart(f"other-{number}")
            await services.configuration.publish(parts(TEAM, settings=settings) | {"namespace/other": other})
            await asyncio.sleep(0)
        following.cancel()
    assert [recall.key for recall in asked if isinstance(recall, Recall)] == [TEAM.key, TEAM.key]


@on_every_store
async def test_users_beyond_the_cap_are_refused_wherever_they_are(store: Store) -> None:
    """The ledger's tables are bounded; a sidecar that observes lets the request pass without an account."""
    services, each = hub(store), ledgers.account(Target(TargetKind.USER))
    await services.configuration.publish(parts(each, settings=msgspec.structs.replace(KILLED, max_users=1)))
    for number, (user, lent) in enumerate((("jane", True), ("joe", False)), 1):
        key = user_account_key(each.key, user)
        need = Need(key, each, FAR_BEYOND, FAR_BEYOND, enforced=False)
        asked = LeaseRequest(ledgers.epoch(), number, (need,), (f"user/{user}", *ledgers.PATH), accounts=(key,))
        assert isinstance(await ledgers.lease(services, asked), LeaseGrant) is lent
