"""What every store does alike with configurations: parts and their times, accounts in force, clusters and editions."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec

from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import AccountRow, ClusterRow, PartRow
from llmgov.ledger.store import Store
from llmgov.snapshot import Target, TargetKind
from tests.support import ledgers
from tests.support.ledgers import on_every_store

ACCOUNT = ledgers.account()
ACCOUNT_ROW = AccountRow(ACCOUNT.key, "team/payments", ACCOUNT)
FIRST = PartRow("organization", "v1", b"one", 100, None, "east", "root")
SECOND = PartRow("organization", "v2", b"other", 200, None, "east", "jane")
AGAIN = msgspec.structs.replace(FIRST, since=300)
WEST = PartRow("organization", "v1", b"one", 150, None, "west", "root")
SHOP = PartRow("namespace/shop", "v7", b"{}", 150, None, "west", "root")


def until(row: PartRow, at: int) -> PartRow:
    return msgspec.structs.replace(row, until=at)


async def put(store: Store, *new: PartRow, ended: tuple[PartRow, ...] = ()) -> None:
    def step(book: Book) -> None:
        book.put.parts.extend(new)
        book.put.ended_parts.extend(row.head for row in ended)

    await store.transact(Lock(), step)


async def history(store: Store) -> None:
    """Two versions in the east, the first of them twice; and two parts in the west."""
    await put(store, FIRST)
    await put(store, WEST, SHOP)
    await put(store, SECOND, ended=(until(FIRST, 200),))
    await put(store, AGAIN, ended=(until(SECOND, 300),))


async def look(store: Store, lock: Lock) -> Book:
    return await store.transact(lock, lambda book: book)


@on_every_store
async def test_every_version_of_a_part_is_kept_with_its_time(store: Store) -> None:
    await history(store)
    assert await store.parts(99) == []
    assert await store.parts(100) == [until(FIRST, 200)]
    assert await store.parts(200) == [until(SECOND, 300), SHOP, WEST]
    assert await store.parts(300) == [AGAIN, SHOP, WEST]
    assert await store.parts(300, ["prices", "organization"]) == [AGAIN, WEST]
    assert await store.parts_now("organization") == [AGAIN, WEST]
    assert await store.parts_now("prices") == []


@on_every_store
async def test_a_version_is_found_by_its_cluster_part_and_hash(store: Store) -> None:
    await history(store)
    assert await store.part("east", "organization", "v2") == until(SECOND, 300)
    assert await store.part("east", "organization", "v1") == AGAIN
    assert await store.part("west", "organization", "v1") == WEST
    assert await store.part("west", "organization", "v2") is None


@on_every_store
async def test_the_history_is_listed_without_the_documents(store: Store) -> None:
    await history(store)
    found = [(row.since, row.cluster, row.part, row.version, row.until, row.actor, row.size)
             for row in await store.part_versions()]  # fmt: skip
    assert found == [
        (100, "east", "organization", "v1", 200, "root", 3),
        (150, "west", "namespace/shop", "v7", None, "root", 2),
        (150, "west", "organization", "v1", None, "root", 3),
        (200, "east", "organization", "v2", 300, "jane", 5),
        (300, "east", "organization", "v1", None, "root", 3),
    ]


@on_every_store
async def test_a_transaction_sees_what_is_in_force_in_the_cluster_that_it_names(store: Store) -> None:
    await history(store)
    assert (await look(store, Lock(configuration="east"))).in_force == {"organization": AGAIN.head}
    west = {"organization": WEST.head, "namespace/shop": SHOP.head}
    assert (await look(store, Lock(configuration="west"))).in_force == west
    assert (await look(store, Lock(configuration="north"))).in_force == {}
    assert (await look(store, Lock())).in_force == {}
    others = [(await look(store, Lock(configuration=name))).others for name in ("east", "west", "north")]
    assert others == [{"west"}, {"east"}, {"east", "west"}]
    assert (await look(store, Lock())).others == frozenset()


@on_every_store
async def test_steps_that_are_committed_together_see_what_each_other_put_in_force(store: Store) -> None:
    def step(number: int) -> Coroutine[Any, Any, int]:
        def run(book: Book) -> int:
            old = book.in_force.get("organization")
            since = 100 if old is None else old.since + 1
            if old is not None:
                book.put.ended_parts.append(msgspec.structs.replace(old, until=since))
            book.put.parts.append(PartRow("organization", f"v{number % 2}", b"", since, None, "east"))
            return since

        return store.transact(Lock(configuration="east"), run)

    since = await asyncio.gather(*(step(number) for number in range(6)))
    assert since == [100, 101, 102, 103, 104, 105]
    assert [(row.version, row.since, row.until) for row in await store.part_versions()] == [
        ("v0", 100, 101), ("v1", 101, 102), ("v0", 102, 103), ("v1", 103, 104), ("v0", 104, 105), ("v1", 105, None),
    ]  # fmt: skip


@on_every_store
async def test_a_clusters_row_is_its_own(store: Store) -> None:
    east = ClusterRow("east", 3, "operator-1", 50, 60)
    await store.transact(Lock(configuration="east"), lambda book: book.put_cluster(east))
    assert (await look(store, Lock(configuration="east"))).cluster == east
    assert (await look(store, Lock(configuration="west"))).cluster is None
    assert (await look(store, Lock())).cluster is None


@on_every_store
async def test_a_transaction_that_asks_for_the_edition_learns_which_configuration_is_in_force(store: Store) -> None:
    assert await store.edition() == 0
    for number, cluster in enumerate(("east", "west"), start=1):
        await store.transact(Lock(configuration=cluster), lambda book: book.put_edition(book.edition + 1))
        assert await store.edition() == number
        assert (await look(store, Lock(edition=True))).edition == number
    assert (await look(store, Lock())).edition == 0


async def publish(store: Store, cluster: str, part: str, *accounts: AccountRow) -> None:
    def step(book: Book) -> None:
        book.put.published[cluster, part] = accounts

    await store.transact(Lock(), step)


async def keys(store: Store) -> list[str]:
    return [row.key for row in await store.accounts()]


@on_every_store
async def test_published_accounts_are_listed_with_the_users_own_ones(store: Store) -> None:
    each = ledgers.account(Target(TargetKind.USER))
    janes = AccountRow(f"{each.key}|jane", "user/jane", each)
    await store.transact(Lock(), lambda book: book.put_account(janes))
    await publish(store, "east", "organization", AccountRow(each.key, "user/", each), ACCOUNT_ROW)
    assert await keys(store) == [ACCOUNT.key, each.key, janes.key]
    lowered = msgspec.structs.replace(ACCOUNT_ROW, account=msgspec.structs.replace(ACCOUNT, limit=7))
    await publish(store, "east", "organization", lowered)
    assert await store.accounts() == [lowered]
    await publish(store, "east", "organization")
    assert await store.accounts() == []


@on_every_store
async def test_an_account_is_in_force_while_any_part_of_any_cluster_has_it(store: Store) -> None:
    other = ledgers.account(Target(TargetKind.ORGANIZATION))
    await publish(store, "east", "namespace/a", ACCOUNT_ROW)
    await publish(store, "east", "namespace/b", ACCOUNT_ROW, AccountRow(other.key, "organization", other))
    await publish(store, "west", "namespace/b", ACCOUNT_ROW)
    await publish(store, "east", "namespace/b")
    assert await keys(store) == [ACCOUNT.key]
    await publish(store, "east", "namespace/a")
    assert await keys(store) == [ACCOUNT.key]
    await publish(store, "west", "namespace/b")
    assert await keys(store) == []
