"""A ledger with a row of every kind in it, put and read by every call of a store."""

from typing import Any

import msgspec

from llmgov import snapshot
from llmgov.ledger.book import Book, Ended, Lock, WindowLock
from llmgov.ledger.messages import Charged
from llmgov.ledger.rows import (
    AccountRow,
    ApprovalKind,
    ApprovalRow,
    Attempt,
    AuditRow,
    ClusterRow,
    Correction,
    CorrectionKind,
    EpochRow,
    LeaseRow,
    LedgerEpoch,
    OutboxEntry,
    PartRow,
    Spend,
    SubjectKeyRow,
    ViolationRow,
    Window,
)
from llmgov.ledger.store import Reader
from llmgov.ledger.windows import Span
from llmgov.policy.decision import Action
from llmgov_store.postgres.store import PostgresReader, PostgresStore
from tests.support import ledgers
from tests.support.ledgers import NOW, USD

SPAN = Span(NOW - 10, NOW + 10)


def step(book: Book, number: int) -> None:
    """Put a row of every kind; those of another `number` are others, except for the account's and what is one."""
    account = ledgers.account()
    lease = LeaseRow(f"pod-{number}:1/1/0", account.key, *SPAN, f"pod-{number}", 1, USD, NOW + 5, 10, 20)
    intent = ledgers.intent(f"pod-{number}:1/2", USD, (Charged(lease.id, account.key, USD),))
    row = AccountRow(account.key, "team/payments", account)
    book.put_account(row)
    book.put_window(Window(account.key, "team/payments", *SPAN, 1, 30, USD))
    book.put_lease(lease)
    book.put_epoch(EpochRow(f"pod-{number}", 3, 1, (2, 4)))
    book.put_attempt(Attempt(intent.id, intent, ledgers.settlement(intent.id, 70)))
    book.put_approval(ApprovalRow(f"apr-{number}", ApprovalKind.REQUEST, "ns/p", "dear", NOW, NOW + 10, digest="d"))
    book.put_key(SubjectKeyRow(f"k{number}", f"user/jane-{number}", b"s" * 32))
    book.put_return(lease.id, 1)
    book.put_event(f"pod-{number}:1/3")
    book.put_record(AuditRow("hub-1", number, f"{number:064x}", NOW, "intent", b"{}"))
    book.put_correction(
        Correction(f"cor-{number}", NOW, "root", "the bill", CorrectionKind.ATTEMPT, intent.id, 70, 71, path=("a",))
    )
    book.put_edition(number)
    book.put_ledger_epoch(LedgerEpoch("life", number, NOW))
    book.put.outbox[f"o-{number}"] = OutboxEntry(f"o-{number}", NOW, "Admins", account.key, "threshold:50", "half")
    book.put.violations.append(
        ViolationRow(f"pod-{number}:1/3", 0, NOW, "ns/p", Action.FLAG, "r", "found", True, "ns", "sa", None, "m", 3)
    )
    book.put.spends.append(Spend(intent.subject.path, NOW, 70))
    document = snapshot.encode(snapshot.OrganizationPart("test", accounts=(account,)))
    part = PartRow("organization", f"v{number}", document, NOW, None, "test")
    book.put.parts.append(part)
    if number > 1:
        book.put.ended_parts.append(msgspec.structs.replace(part.head, version="v1", until=NOW + 1))
    book.put.published["test", "organization"] = (row,)
    book.put_cluster(ClusterRow("test", number, "operator-1", NOW, NOW))


def lock(number: int) -> Lock:
    """All that can be named."""
    key = ledgers.account().key
    return Lock(
        windows=(WindowLock(key, "team/payments", SPAN), WindowLock("new", "team/payments", SPAN, "base")),
        leases=(f"pod-{number}:1/1/0",),
        leases_of=(f"pod-{number}",),
        attempts=(f"pod-{number}:1/2",),
        intents=(ledgers.intent(f"pod-{number}:1/9", USD),),
        returns=((f"pod-{number}:1/1/0", 1),),
        holders=(f"pod-{number}",),
        approvals=(f"apr-{number}",),
        approval_kinds=(ApprovalKind.OVERRUN,),
        events=(f"pod-{number}:1/3",),
        writer="hub-1",
        subjects=(f"user/jane-{number}",),
        configuration="test",
        corrections=(f"cor-{number}",),
        ledger_epoch=True,
        ended=Ended(SPAN.start, 5),
    )


async def put(url: str, number: int) -> None:
    """Write and change everything that a store can, remove what it can remove, and read all of it."""
    store = await PostgresStore.open(url)
    try:
        await store.transact(lock(number), lambda book: step(book, number))
        await store.transact(Lock(), lambda book: remove(book, number))
        await store.put_checkpoint(b"checkpoint")
        await store.destroy_key(f"user/jane-{number}")
        await store.delivered([f"o-{number}"], NOW)
        await look(store)
        await store.subject_keys()
    finally:
        await store.close()


def remove(book: Book, number: int) -> None:
    """Put a window and a holder that are over, and remove them."""
    key = ledgers.account().key
    book.put_window(Window(key, "team/payments", SPAN.start - number, SPAN.start, 1))
    book.put.removed_windows.add((key, SPAN.start - number))
    book.put.removed_holders.add(f"gone-{number}")
    book.put.removed_approvals.add(f"apr-gone-{number}")
    book.put.removed_notices.add(f"o-gone-{number}")


async def look(reader: Reader) -> list[Any]:
    """What every read gives, but for the secrets."""
    return [
        await reader.accounts(),
        await reader.windows(NOW),
        await reader.spent("team/payments", 0, 2 * NOW),
        await reader.spent("team/payments", *SPAN),
        await reader.borrowers(ledgers.account().key, SPAN.start),
        await reader.leases("pod-1"),
        await reader.attempts(0, NOW + 1),
        await reader.corrections(0, NOW + 1),
        await reader.ledger_epoch(),
        await reader.database(),
        await reader.unreported("life"),
        await reader.balances(),
        await reader.approvals(),
        await reader.approvals_of(["digest"]),
        await reader.approvals_told(NOW, 1),
        await reader.outbox(),
        await reader.undelivered(),
        await reader.violations(0, NOW + 1),
        await reader.records("hub-1"),
        await reader.writers(),
        await reader.checkpoints(),
        await reader.parts(NOW),
        await reader.parts(NOW, ["organization"]),
        await reader.parts_now("organization"),
        await reader.part_versions(),
        await reader.edition(),
        await reader.part("test", "organization", "v1"),
    ]


async def read(url: str) -> bytes:
    """The same as one value, by the role of `url`."""
    reader = await PostgresReader.open(url)
    try:
        return msgspec.json.encode([repr(found) for found in await look(reader)])
    finally:
        await reader.close()
