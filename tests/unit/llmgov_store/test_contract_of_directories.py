"""What sidecars are told of approvals is the same of the rows that a store selects for it as of all its rows."""

import random

from llmgov.ledger import approvals
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState
from llmgov.ledger.store import Store
from llmgov.snapshot import approval_id, asking
from tests.support.ledgers import NOW, on_every_store

MOST = 4


def _asked(chosen: random.Random, kind: ApprovalKind, digest: str) -> list[ApprovalRow]:
    """A digest's askings: all but the latest are over (a model's were acknowledged), some more than nine."""
    last, found = chosen.choice((1, 1, 2, 3, 11)), []
    for number in range(1, last + 1):
        created = NOW - 1000 + 10 * number + chosen.randrange(10)
        if number < last:
            state = ApprovalState.USED if kind is ApprovalKind.REQUEST else ApprovalState.APPROVED
        else:
            state = chosen.choice(
                [state for state in ApprovalState if kind is ApprovalKind.REQUEST or state.value != "used"]
            )
        expires = NOW + chosen.choice((-1, 0, 1, 2)) if kind is ApprovalKind.REQUEST else approvals.FOR_EVER
        decided = None if state is ApprovalState.PENDING else created + chosen.randrange(5)
        id_ = approval_id(digest, number)
        found.append(ApprovalRow(id_, kind, digest, "s", created, expires, state, digest=digest, decided=decided))
    return found


def _rows(seed: int) -> list[ApprovalRow]:
    chosen = random.Random(seed)
    found = [row for number in range(40) for row in _asked(chosen, ApprovalKind.REQUEST, f"digest{number}")]
    found += [row for number in range(4) for row in _asked(chosen, ApprovalKind.OVERRUN, f"openai/m{number}")]
    found += [
        ApprovalRow(f"apr-{state.value}", ApprovalKind.THRESHOLD, "p", "s", NOW, NOW + 9, state, "a", 1, 90)
        for state in ApprovalState
    ]
    return found


@on_every_store
async def test_a_directory_is_the_same_of_what_is_selected_for_it(store: Store) -> None:
    rows = _rows(7)

    def put(book: Book) -> None:
        for row in rows:
            book.put_approval(row)

    await store.transact(Lock(), put)
    everything = await store.approvals()
    for at in (NOW - 1, NOW, NOW + 1, NOW + 2):
        few = await store.approvals_told(at, MOST)
        usable = approvals.for_directory(everything, at)
        models = {row.digest for row in everything if row.kind is ApprovalKind.OVERRUN}
        assert approvals.for_directory(few, at) == usable
        assert approvals.denials(few, at)[:MOST] == approvals.denials(everything, at)[:MOST]
        assert approvals.stopped_models(few) == approvals.stopped_models(everything)
        assert len(few) <= len(usable) + 2 * MOST + len(models)
        many = await store.approvals_told(at, len(rows))
        assert approvals.denials(many, at) == approvals.denials(everything, at)
        assert approvals.next_askings(many, at) == approvals.next_askings(everything, at)
        newest = _newest_askings(everything, at)
        assert {row.id for row in few} >= newest
        assert few == approvals.told(everything, at, MOST)
    assert any(asking(row.id) > 9 for row in await store.approvals_told(NOW, len(rows)))


def _newest_askings(rows: list[ApprovalRow], at: int) -> set[str]:
    """Of the latest row of each digest the newest `MOST` that are over or not the first asking."""
    latest = {
        digest: max((row for row in rows if row.digest == digest), key=lambda row: asking(row.id))
        for digest in {row.digest for row in rows if row.kind is ApprovalKind.REQUEST}
    }
    over = [
        row for row in latest.values() if row.state is ApprovalState.USED or row.expires <= at or asking(row.id) > 1
    ]
    return {row.id for row in sorted(over, key=lambda row: (-row.created, row.id))[:MOST]}
