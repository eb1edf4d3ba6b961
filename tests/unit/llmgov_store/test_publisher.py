"""What is published is in force, whole, on record and announced; by whom may publish it, and for one cluster alone."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from llmgov import snapshot
from llmgov.audit import record
from llmgov.instants import Instant
from llmgov.ledger.publishing import Change, OtherClusterError, SupersededError
from llmgov.ledger.store import Store, StoreError
from llmgov.snapshot import Account, NamespacePart, OrganizationPart, Part, PricePart, Settings, Target, TargetKind
from llmgov_store.memory import MemoryStore
from llmgov_store.publisher import Publisher
from llmgov_store.recorder import Recorder
from tests.support import ledgers
from tests.support.ledgers import NOW, USD, on_every_store

SHOP = "namespace/shop"
PAY = "namespace/pay"


class Operator:
    """A publisher with a clock that stands, and a count of what it announced."""

    def __init__(self, store: Store, writer: str) -> None:
        self.now: Instant = NOW
        self.announced = 0
        self.publisher = Publisher(store, Recorder(writer), lambda: self.now, self._announce)

    async def _announce(self) -> None:
        self.announced += 1


def operator(store: Store, writer: str = "operator-1") -> Operator:
    return Operator(store, writer)


def account(cluster: str, target: str, limit: int = 5 * USD) -> Account:
    wanted = Target(TargetKind.NAMESPACE, target)
    made = ledgers.account(wanted, limit)
    return msgspec.structs.replace(made, key=snapshot.account_key(cluster, str(wanted), made.period, "UTC"))


def namespace(name: str, *accounts: Account, observe: bool = False) -> NamespacePart:
    return NamespacePart(name, observe=observe, accounts=accounts)


def parts(cluster: str, **namespaces: NamespacePart) -> dict[str, Part]:
    named: dict[str, Part] = {"organization": OrganizationPart(cluster), "prices": PricePart()}
    return named | {f"namespace/{name}": part for name, part in namespaces.items()}


async def in_force(store: Store, cluster: str = "east") -> dict[str, str]:
    """The versions in force of a cluster."""
    return {
        row.part: row.version for row in await store.part_versions() if row.cluster == cluster and row.until is None
    }


async def limits(store: Store) -> dict[str, int]:
    return {row.key: row.account.limit for row in await store.accounts()}


@on_every_store
async def test_only_what_changed_is_written_and_announced(store: Store) -> None:
    east = operator(store)
    first = parts("east", shop=namespace("shop"), pay=namespace("pay"))
    changes = await east.publisher.publish(first)
    assert changes == [Change(name, snapshot.version(first[name]), None) for name in sorted(first)]
    assert await east.publisher.publish(first) == []
    assert await east.publisher.publish(parts("east", shop=namespace("shop"), pay=namespace("pay"))) == []
    second = first | {SHOP: namespace("shop", observe=True)}
    old, new = snapshot.version(first[SHOP]), snapshot.version(second[SHOP])
    assert await east.publisher.publish(second) == [Change(SHOP, new, old)]
    assert await east.publisher.publish({name: part for name, part in second.items() if name != PAY}) == [
        Change(PAY, None, snapshot.version(first[PAY]))
    ]
    assert east.announced == 3
    assert await store.edition() == 3
    assert await in_force(store) == {name: snapshot.version(second[name]) for name in ("organization", "prices", SHOP)}


@on_every_store
async def test_a_version_is_in_force_until_the_next_one_whatever_the_clock_says(store: Store) -> None:
    east = operator(store)
    documents = [parts("east", shop=namespace("shop", observe=observe)) for observe in (False, True, False)]
    for clock, each in zip((NOW, NOW, NOW - 50), documents, strict=True):
        east.now = clock
        await east.publisher.publish(each)
    found = [(row.since, row.until, row.version) for row in await store.part_versions() if row.part == SHOP]
    enforced, observed = (snapshot.version(each[SHOP]) for each in documents[:2])
    assert found == [(NOW, NOW + 1, enforced), (NOW + 1, NOW + 2, observed), (NOW + 2, None, enforced)]
    kept = await store.part("east", SHOP, observed)
    assert kept is not None
    assert kept.document == snapshot.encode(documents[1][SHOP])


@on_every_store
async def test_the_accounts_in_force_are_those_of_the_parts_in_force(store: Store) -> None:
    east = operator(store)
    shop, pay = account("east", "shop"), account("east", "pay")
    await east.publisher.publish(parts("east", shop=namespace("shop", shop, pay), pay=namespace("pay", pay)))
    assert await limits(store) == {shop.key: 5 * USD, pay.key: 5 * USD}
    await east.publisher.publish(
        parts("east", shop=namespace("shop", account("east", "shop", USD)), pay=namespace("pay", pay))
    )
    assert await limits(store) == {shop.key: USD, pay.key: 5 * USD}
    await east.publisher.publish(parts("east", pay=namespace("pay", pay)))
    assert await limits(store) == {pay.key: 5 * USD}


@on_every_store
async def test_a_part_that_is_held_back_keeps_what_is_in_force_and_its_accounts(store: Store) -> None:
    east = operator(store)
    shop, pay = account("east", "shop"), account("east", "pay")
    good = parts("east", shop=namespace("shop", shop), pay=namespace("pay", pay))
    await east.publisher.publish(good)
    lacking = parts("east", shop=namespace("shop"), pay=namespace("pay", account("east", "pay", USD)))
    changes = await east.publisher.publish(lacking, held=frozenset({SHOP}))
    assert [change.part for change in changes] == [PAY]
    assert await limits(store) == {shop.key: 5 * USD, pay.key: USD}
    assert (await in_force(store))[SHOP] == snapshot.version(good[SHOP])
    without = {name: part for name, part in lacking.items() if name != SHOP}
    assert await east.publisher.publish(without, held=frozenset({SHOP})) == [], "also where it is not there at all"
    await east.publisher.publish(lacking)
    assert await limits(store) == {pay.key: USD}, "and is replaced once nothing is wrong with it"


@on_every_store
async def test_a_part_that_is_held_back_is_published_where_nothing_better_is_in_force(store: Store) -> None:
    east = operator(store)
    lacking = parts("east", shop=namespace("shop"))
    await east.publisher.publish(lacking, held=frozenset({SHOP}))
    assert (await in_force(store))[SHOP] == snapshot.version(lacking[SHOP])


@on_every_store
async def test_who_lost_its_term_cannot_publish_over_its_successor(store: Store) -> None:
    before, after = operator(store), operator(store, "operator-2")
    assert await before.publisher.claim("east", "operator-1") == 1
    await before.publisher.publish(parts("east", shop=namespace("shop")))
    assert await after.publisher.claim("east", "operator-2") == 2
    newer = parts("east", shop=namespace("shop", observe=True))
    for late in (parts("east", shop=namespace("shop")), parts("east"), newer):
        with pytest.raises(
            SupersededError, match=r"term 1 of cluster 'east' is over: 'operator-2' began term 2 at 2026"
        ):
            await before.publisher.publish(late)
    await after.publisher.publish(newer)
    assert (await in_force(store))[SHOP] == snapshot.version(newer[SHOP])
    assert (before.announced, after.announced) == (1, 1)


@on_every_store
async def test_a_term_that_was_claimed_is_over_for_who_changes_nothing_too(store: Store) -> None:
    before, after = operator(store), operator(store, "operator-2")
    await before.publisher.claim("east", "operator-1")
    given = parts("east")
    await before.publisher.publish(given)
    await after.publisher.claim("east", "operator-2")
    with pytest.raises(SupersededError):
        await before.publisher.publish(given)


@on_every_store
async def test_a_second_cluster_is_told_what_to_do_and_changes_nothing(store: Store) -> None:
    """Whoever comes first: the claim of an operator, or a publication without one. A restarted operator of the first
    goes on."""
    east, west = operator(store, "east-1"), operator(store, "west-1")
    assert await west.publisher.claim("west", "west-1") == 1, "a cluster that publishes nothing is in nobody's way"
    await east.publisher.claim("east", "east-1")
    easts, wests = account("east", "shop"), account("west", "shop", USD)
    await east.publisher.publish(parts("east", shop=namespace("shop", easts)))
    what = (
        "cluster 'west' cannot share this ledger with cluster 'east', whose configuration is in force in it: give each"
        " cluster a database of its own; where this one is the same cluster, built anew, set LLMGOV_CLUSTER_ID=east"
    )
    before = (await store.part_versions(), await store.records("west-1"), await store.edition())
    for attempt in (
        west.publisher.publish(parts("west", shop=namespace("shop", wests))),
        operator(store, "west-2").publisher.publish(parts("west")),
        operator(store, "west-2").publisher.claim("west", "west-2"),
    ):
        with pytest.raises(OtherClusterError) as raised:
            await attempt
        assert str(raised.value) == what
    assert (await store.part_versions(), await store.records("west-1"), await store.edition()) == before
    assert await limits(store) == {easts.key: 5 * USD}
    assert west.announced == 0
    assert await operator(store, "east-2").publisher.claim("east", "east-2") == 2


@on_every_store
async def test_of_two_clusters_that_both_claimed_the_first_to_publish_has_the_ledger(store: Store) -> None:
    both = {name: operator(store, name) for name in ("east", "west")}
    for name, each in both.items():
        await each.publisher.claim(name, name)

    async def publish(name: str) -> list[Change]:
        return await both[name].publisher.publish(parts(name))

    done = await asyncio.gather(*map(publish, both), return_exceptions=True)
    assert sorted(type(each) for each in done if isinstance(each, BaseException)) == [OtherClusterError]
    assert len({row.cluster for row in await store.part_versions()}) == 1


@on_every_store
async def test_a_configuration_of_another_cluster_than_the_term_is_a_mistake(store: Store) -> None:
    east = operator(store)
    await east.publisher.claim("east", "operator-1")
    with pytest.raises(ValueError, match="of cluster 'west' in a term of cluster 'east'"):
        await east.publisher.publish(parts("west"))


@on_every_store
async def test_the_record_and_the_history_say_who_put_a_part_in_force_and_when(store: Store) -> None:
    east = operator(store)
    await east.publisher.publish({"organization": OrganizationPart("east")}, actor="root")
    await east.publisher.claim("east", "operator-1")
    await east.publisher.publish({"organization": OrganizationPart("east", Settings(max_users=7))})
    assert [(row.since, row.actor) for row in await store.part_versions()] == [(NOW, "root"), (NOW + 1, "operator-1")]
    made = [record.decode(row.data) for row in await store.records("operator-1")]
    assert [(each.kind, each.facts["at"], each.facts["part"]) for each in made] == [
        ("inForce", NOW, "organization"),
        ("inForce", NOW + 1, "organization"),
    ]


def test_the_same_object_is_not_hashed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Part] = []
    version: Callable[[Part], str] = snapshot.version
    monkeypatch.setattr(snapshot, "version", lambda part: hashed.append(part) or version(part))
    east, shop = operator(MemoryStore()), namespace("shop")
    first = parts("east", shop=shop)
    asyncio.run(east.publisher.publish(first))
    hashed.clear()
    changed = first | {PAY: namespace("pay")}
    asyncio.run(east.publisher.publish(changed))
    assert hashed == [changed[PAY]]


def test_what_could_not_be_stored_is_not_announced() -> None:
    store = MemoryStore()
    east = operator(store)
    asyncio.run(store.close())
    with pytest.raises(StoreError):
        asyncio.run(east.publisher.publish(parts("east")))
    assert east.announced == 0
