"""Each text of each event at its greatest size is put on record; a greater one is put aside, and blocks nobody.

Texts are of characters that do not compress: what an index of a database holds of one is all of it.
"""

import random
from collections.abc import Iterator

import msgspec

from llmgov.ledger import bounds
from llmgov.ledger.book import Lock
from llmgov.ledger.messages import Event, Intent, Refused, Violated
from llmgov.ledger.rows import ApprovalKind, ApprovalRow
from llmgov.ledger.store import Store
from llmgov.policy.decision import Action, Violation
from llmgov.snapshot import Audience, approval_id, short_name
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, on_every_store

SENTENCE = 100_000
"""Far beyond an index; the bound itself would take minutes."""


def foreign(number: int, width: int = 3) -> str:
    """Printable characters of `width` bytes each, which do not compress."""
    first, last = {3: (0x4E00, 0x9FFF), 4: (0x20000, 0x2A6DF)}[width]
    chosen = random.Random(number)
    return "".join(chr(chosen.randint(first, last)) for _ in range(number))


NAME = foreign(bounds.MAX_NAME_BYTES // 3)
POLICY = foreign(bounds.MAX_POLICY, 4)
KUBERNETES = foreign(bounds.MAX_KUBERNETES_NAME, 4)
TEXT = foreign(SENTENCE)
SUBJECT = {
    "namespace": KUBERNETES, "service_account": KUBERNETES, "user": NAME, "teams": (NAME,), "path": (NAME,),
    "provider": NAME, "model": TEXT, "operation": NAME, "pod": NAME,
}  # fmt: skip
VIOLATION = Violation("ns/p", Action.FLAG, "reason", "message", notify=tuple(Audience))
VIOLATIONS = {"policy": POLICY, "reason": NAME, "message": TEXT, "path": TEXT}
INTENT = {"request_id": NAME, "snapshot": (NAME,), "policies": (NAME,), "prompt": TEXT, "approval": NAME}
REFUSED = {
    "request_id": NAME, "reason": NAME, "policy": POLICY, "message": TEXT, "approval_digest": NAME,
    "approval_summary": TEXT,
}  # fmt: skip


def refused(number: int, **fields: object) -> Refused:
    plain = Refused(
        f"pod-1:1/{number}", NOW, "r", ledgers.subject(path=()), "approval", "ns/p", "needs", (VIOLATION,), 403,
        approval_digest=f"d{number}", approval_summary="s",
    )  # fmt: skip
    return msgspec.structs.replace(plain, **fields)


def events() -> Iterator[Event]:
    """Each text once alone at its greatest size, then all of an event."""
    number = 0
    for fields in (*({name: value} for name, value in SUBJECT.items()), SUBJECT):
        who = msgspec.structs.replace(ledgers.subject(path=()), **fields)
        for make in (refused, violated, intent):
            yield make(number := number + 1, subject=who)
    for fields in (*({name: value} for name, value in VIOLATIONS.items()), VIOLATIONS):
        found = (msgspec.structs.replace(VIOLATION, **fields),)
        for make in (refused, violated):
            yield make(number := number + 1, violations=found)
    for fields in (*({name: value} for name, value in INTENT.items()), INTENT):
        yield intent(number := number + 1, **fields)
    for fields in (*({name: value} for name, value in REFUSED.items()), REFUSED):
        yield refused(number := number + 1, **fields)
    yield violated(number + 1, request_id=NAME, attempt=NAME)
    for text in ({"model": TEXT}, {"stop": TEXT}):
        yield msgspec.structs.replace(ledgers.settlement(f"pod-1:1/{number + 2}", 1), **text)
        number += 1
    yield refused(0, id=NAME, **REFUSED)


def violated(number: int, **fields: object) -> Violated:
    plain = Violated(f"pod-1:1/{number}", NOW, "r", None, ledgers.subject(path=()), (VIOLATION,))
    return msgspec.structs.replace(plain, **fields)


def intent(number: int, **fields: object) -> Intent:
    return msgspec.structs.replace(ledgers.intent(f"pod-1:1/{number}", CENT), **fields)


@on_every_store
async def test_each_text_at_its_greatest_is_on_record_with_what_came_beside_it(store: Store) -> None:
    hub = Hub(store, lambda: NOW)
    for number, event in enumerate(events()):
        good = f"pod-2:1/{number}"
        assert await hub.deliver([event, ledgers.intent(good, CENT)]) == (), event
    assert len(await store.attempts(NOW, NOW + 1)) > number


@on_every_store
async def test_an_overrun_is_recorded_however_long_its_model_is_named(store: Store) -> None:
    hub, long = Hub(store, lambda: NOW), foreign(3000)
    model = f"openai/{long}"
    for number in (1, 2):
        over = msgspec.structs.replace(ledgers.settlement(f"pod-1:1/{number}", 3 * CENT), overrun=True)
        who = ledgers.subject(model=long)
        assert await hub.deliver([ledgers.intent(f"pod-1:1/{number}", CENT, who=who), over]) == ()
    assert sum(attempt.cost for attempt in await store.attempts(NOW, NOW + 1)) == 6 * CENT
    (row,) = await store.approvals()
    assert (row.id, row.policy) == (approval_id(model), model)
    assert (await hub.approvals.directory()).stopped == (short_name(model),)
    await hub.approvals.approve(row.id, "root")
    directory = await hub.approvals.directory()
    assert (directory.stopped, directory.askings) == ((), {short_name(model): 2})


@on_every_store
async def test_a_model_that_an_older_ledger_names_in_full_is_the_same(store: Store) -> None:
    hub, model = Hub(store, lambda: NOW), "openai/" + "m" * 600
    row = ApprovalRow(approval_id(model), ApprovalKind.OVERRUN, model, "dear", NOW, 2**62, digest=model)
    await store.transact(Lock(), lambda book: book.put_approval(row))
    over = msgspec.structs.replace(ledgers.settlement("pod-1:1/1", 3 * CENT), overrun=True)
    who = ledgers.subject(model="m" * 600)
    assert await hub.deliver([ledgers.intent("pod-1:1/1", CENT, who=who), over]) == ()
    assert await store.approvals() == [row], "it waits already"
    assert (await hub.approvals.directory()).stopped == (short_name(model),)
    await hub.approvals.approve(row.id, "root")
    assert (await hub.approvals.directory()).stopped == ()


BEYOND = {
    "a namespace": refused(1, subject=ledgers.subject(namespace=foreign(600), path=())),
    "a service account": refused(1, subject=ledgers.subject(service_account=KUBERNETES + "x", path=())),
    "a policy": refused(1, policy=POLICY + "x"),
    "a violation's policy": violated(1, violations=(msgspec.structs.replace(VIOLATION, policy=foreign(3000)),)),
    "an id": violated(1, id=foreign(1000)),
    "an id that is just too long": violated(1, id=NAME + "xxx"),
}


@on_every_store
async def test_what_is_greater_is_put_aside(store: Store) -> None:
    hub = Hub(store, lambda: NOW)
    for number, (what, event) in enumerate(BEYOND.items()):
        one = msgspec.structs.replace(event, id=f"{event.id}{number}")
        assert await hub.deliver([one, ledgers.intent(f"pod-2:1/{number}", CENT)]) == (one.id,), what
    assert len(await store.violations(0, NOW + 1)) == len(BEYOND)
    assert len(await store.attempts(NOW, NOW + 1)) == len(BEYOND)
