"""What sidecars report: taken once, its audit record in the same transaction; approvals and notices that follow."""

import itertools
from collections.abc import Callable

import msgspec
import pytest

from llmgov import instants
from llmgov.audit import record, sealing
from llmgov.ledger import approvals
from llmgov.ledger.approvals import ApprovalError
from llmgov.ledger.messages import Charged, LeaseGrant, LeaseRequest, Need, Refused, Violated
from llmgov.ledger.rows import ApprovalKind, ApprovalState
from llmgov.ledger.store import Store
from llmgov.policy.decision import Action, Violation
from llmgov.snapshot import Audience, OrganizationPart, PricePart, Settings, Threshold, ThresholdAction, approval_id
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.ledgers import NOW, USD, on_every_store

VIOLATION = Violation("ns/pii", Action.REDACT, "pattern:ssn", "an SSN was redacted", notify=(Audience.ADMINS,))


def counting() -> Callable[[int], bytes]:
    """Entropy that repeats in every run and never within one."""
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


def hub(store: Store, now: int = NOW) -> Hub:
    return Hub(store, lambda: now, entropy=counting())


def refused(id_: str = "a/7", digest: str | None = None) -> Refused:
    return Refused(
        id_, NOW, "req", ledgers.subject(user="jane"), "approval_required", "ns/costs", "too dear", (), 403,
        approval_digest=digest, approval_summary="gpt-4o for $3",
    )  # fmt: skip


async def records(store: Store) -> list[record.AuditRecord]:
    return [record.decode(row.data) for row in await store.records("hub")]


@on_every_store
async def test_every_event_has_one_record_however_often_it_comes(store: Store) -> None:
    events = [
        ledgers.intent("a/1", USD),
        ledgers.settlement("a/1", 7),
        Violated("a/2", NOW, "req", "a/1", ledgers.subject(), (VIOLATION,)),
        refused(),
    ]
    services = hub(store)
    await services.deliver(events)
    await services.deliver(events[::-1])
    found = await records(store)
    assert [(each.seq, each.kind) for each in found] == [
        (1, "intent"), (2, "settlement"), (3, "violated"), (4, "refused")
    ]  # fmt: skip
    assert [each.previous for each in found[1:]] == [each.hash for each in found[:-1]]
    assert all(record.digest(each) == each.hash for each in found)


@on_every_store
async def test_a_subjects_records_open_with_one_key_until_it_is_destroyed(store: Store) -> None:
    services = hub(store)
    await services.deliver([refused("a/1"), refused("a/2")])
    (key,) = await store.subject_keys()
    assert key.subject == "user/jane"
    for each in await records(store):
        opening = record.opened(each, sealing.SubjectKey(key.id, key.secret))
        assert "jane" in opening.values.values()


@on_every_store
async def test_a_record_that_cannot_be_made_takes_the_settlement_back(store: Store) -> None:
    def fails(size: int) -> bytes:
        raise RuntimeError("no entropy")

    broken = Hub(store, lambda: NOW, entropy=fails)
    with pytest.raises(RuntimeError, match="no entropy"):
        await broken.deliver([ledgers.intent("a/1", USD), ledgers.settlement("a/1", 7)])
    assert await store.attempts(0, NOW + 1) == []
    assert await store.records("hub") == []


@on_every_store
async def test_violations_are_counted_and_noticed_once_an_hour(store: Store) -> None:
    services = hub(store)
    for number in range(3):
        await services.deliver([Violated(f"a/{number}", NOW, "req", None, ledgers.subject(), (VIOLATION, VIOLATION))])
    assert len(await store.violations(NOW, NOW + 1)) == 6
    (notice,) = await services.outbox.pending()
    assert (notice.audience, notice.about, notice.fact) == ("Admins", "ns/pii", "violation")
    await services.outbox.delivered([notice])
    assert await services.outbox.pending() == []


@on_every_store
async def test_a_requests_approval_is_asked_for_granted_and_used_once(store: Store) -> None:
    services = hub(store)
    await services.deliver([refused("a/1", "digest"), refused("a/2", "digest")])
    (pending,) = await services.approvals.list()
    assert (pending.kind, pending.state, pending.digest) == (ApprovalKind.REQUEST, ApprovalState.PENDING, "digest")
    assert (pending.requested_by, pending.summary) == ("jane", "gpt-4o for $3; request req")
    assert (await services.approvals.directory()).approvals == ()

    await services.approvals.approve(pending.id, "root", "fine")
    (open_one,) = (await services.approvals.directory()).approvals
    assert (open_one.id, open_one.digest) == (pending.id, "digest")
    assert (await records(store))[-1].kind == "approvalDecided"

    lent = await ledgers.lease(services, LeaseRequest(ledgers.epoch(), 1, (), (), pending.id))
    assert isinstance(lent, LeaseGrant)
    assert (await services.approvals.directory()).approvals == ()
    again = await ledgers.lease(services, LeaseRequest(ledgers.epoch(), 2, (), (), pending.id))
    assert not isinstance(again, LeaseGrant)
    await services.deliver([refused("a/3", "digest"), refused("a/4", "digest")])
    assert [row.state for row in await services.approvals.list() if row.id == pending.id] == [ApprovalState.USED]
    with pytest.raises(ApprovalError, match="is used already; `llmgov approvals list` shows what waits"):
        await services.approvals.approve(pending.id, "root")
    (anew,) = [row for row in await services.approvals.list() if row.id != pending.id]
    assert (anew.id, anew.state) == (approval_id("digest", 2), ApprovalState.PENDING)
    assert (await services.approvals.directory()).askings == {"digest": 2}
    before = f"approved before, at {instants.to_rfc3339(NOW)}, for an attempt that was made since"
    assert anew.summary == f"gpt-4o for $3; request req; {before}", "who decides again knows why"
    for number in (2, 3, 4):
        id_ = approval_id("digest", number)
        await services.approvals.approve(id_, "root")
        lent = await ledgers.lease(services, LeaseRequest(ledgers.epoch(), 10 + number, (), (), id_))
        assert isinstance(lent, LeaseGrant)
        assert (await services.approvals.directory()).askings == {"digest": number + 1}
        await services.deliver([refused(f"a/{10 + number}", "digest")])
    states = {row.id: row.state.value for row in await services.approvals.list()}
    assert sorted(states.values()) == ["pending", "used", "used", "used", "used"]
    assert states[approval_id("digest", 5)] == "pending"


@on_every_store
async def test_an_approval_is_decided_once(store: Store) -> None:
    services = hub(store)
    with pytest.raises(ApprovalError, match="there is no approval apr-0"):
        await services.approvals.approve("apr-0", "root")
    await services.deliver([refused(digest="digest")])
    (pending,) = await services.approvals.list()
    assert (await services.approvals.deny(pending.id, "root")).state is ApprovalState.DENIED
    with pytest.raises(ApprovalError, match="is denied already"):
        await services.approvals.approve(pending.id, "root")
    await services.deliver([refused("a/8", "digest")])
    assert (await services.approvals.list())[0].state is ApprovalState.DENIED
    late = hub(store, NOW + approvals.PENDING_LIFE)
    await late.deliver([refused("a/9", "digest")])
    latest, denied = await late.approvals.list()
    assert (latest.state, denied.state) == (ApprovalState.PENDING, ApprovalState.DENIED)
    assert latest.id == approval_id("digest", 2) != denied.id


@on_every_store
async def test_as_which_asking_is_told_of_the_latest_digests(store: Store) -> None:
    times = itertools.count(NOW)
    services = Hub(store, lambda: next(times), entropy=counting())
    await services.deliver([refused(f"a/{number}", f"digest{number}") for number in range(3)])
    assert (await services.approvals.directory()).askings == {}
    for number in (0, 2):
        await services.approvals.approve(approval_id(f"digest{number}"), "root")
        await ledgers.lease(services, LeaseRequest(ledgers.epoch(), number + 1, (), (), approval_id(f"digest{number}")))
    assert (await services.approvals.directory()).askings == {"digest0": 2, "digest2": 2}
    await services.deliver([refused("a/7", "digest2")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approvals, "MAX_DENIALS", 1)
        assert (await services.approvals.directory()).askings == {"digest2": 2}


@on_every_store
async def test_the_latest_denials_are_told_in_one_line_until_they_expire(store: Store) -> None:
    times = itertools.count(NOW)
    services = Hub(store, lambda: next(times), entropy=counting())
    await services.deliver([refused(f"a/{number}", f"digest{number}") for number in range(3)])
    for number, reason in ((0, "no"), (1, ""), (2, "not\nthis  month " + 300 * "x")):
        await services.approvals.deny(approval_id(f"digest{number}"), "root", reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approvals, "MAX_DENIALS", 2)
        first, second = (await services.approvals.directory()).denials
    assert (first.id, first.digest) == (approval_id("digest2"), "digest2")
    assert first.reason == ("not this month " + 300 * "x")[:200]
    assert (second.digest, second.reason) == ("digest1", "")
    assert first.expires == NOW + approvals.PENDING_LIFE
    assert (await hub(store, first.expires).approvals.directory()).denials == ()


@on_every_store
async def test_a_pending_approval_expires(store: Store) -> None:
    await hub(store).deliver([refused(digest="digest")])
    (pending,) = await store.approvals()
    late = hub(store, NOW + approvals.PENDING_LIFE)
    with pytest.raises(ApprovalError, match="expired"):
        await late.approvals.approve(pending.id, "root")


@on_every_store
async def test_a_model_that_overran_is_stopped_until_acknowledged(store: Store) -> None:
    services = hub(store)
    overrun = msgspec.structs.replace(ledgers.settlement("a/1", 2 * USD), overrun=True)
    await services.deliver([ledgers.intent("a/1", USD), overrun])
    assert frozenset((await services.approvals.directory()).stopped) == {"openai/gpt-4o"}
    (row,) = await services.approvals.list()
    await services.approvals.approve(row.id, "root")
    assert frozenset((await services.approvals.directory()).stopped) == frozenset()
    again = msgspec.structs.replace(overrun, id="a/2")
    await services.deliver([ledgers.intent("a/2", USD), again])
    assert frozenset((await services.approvals.directory()).stopped) == {"openai/gpt-4o"}


@on_every_store
async def test_an_old_approval_of_a_model_does_not_cover_another_overrun(store: Store) -> None:
    services, model = hub(store), "openai/gpt-4o"

    async def overrun(attempt: str) -> None:
        settlement = msgspec.structs.replace(ledgers.settlement(attempt, 2 * USD), overrun=True)
        await services.deliver([ledgers.intent(attempt, USD), settlement])

    async def told() -> tuple[tuple[str, ...], dict[str, int]]:
        directory = await services.approvals.directory()
        return directory.stopped, directory.askings

    first, second, third = (approval_id(model, number) for number in (1, 2, 3))
    await overrun("a/1")
    await overrun("a/2")
    assert await told() == ((model,), {}), "what is pending covers both"
    await services.approvals.approve(first, "root")
    assert await told() == ((), {model: 2}), "a sidecar that sees the next overrun names what the hub will make of it"
    await overrun("a/3")
    with pytest.raises(ApprovalError, match="is approved already"):
        await services.approvals.approve(first, "root")
    assert await told() == ((model,), {model: 2})
    await services.approvals.deny(second, "root")
    await overrun("a/4")
    with pytest.raises(ApprovalError, match="is denied already"):
        await services.approvals.approve(second, "root")
    assert await told() == ((model,), {model: 3})
    await services.approvals.approve(third, "root")
    assert await told() == ((), {model: 4}), "an earlier denial stops nothing any more"


@on_every_store
async def test_a_model_that_was_denied_to_go_on_may_be_let_go_on_later(store: Store) -> None:
    services = hub(store)
    overrun = msgspec.structs.replace(ledgers.settlement("a/1", 2 * USD), overrun=True)
    await services.deliver([ledgers.intent("a/1", USD), overrun])
    (row,) = await services.approvals.list()
    await services.approvals.deny(row.id, "root", "ask them first")
    assert (await services.approvals.directory()).stopped == ("openai/gpt-4o",)
    with pytest.raises(ApprovalError, match="is denied already"):
        await services.approvals.deny(row.id, "root")
    approved = await services.approvals.approve(row.id, "jo", "they mended it")
    assert (approved.state, approved.decided_by, approved.reason) == (ApprovalState.APPROVED, "jo", "they mended it")
    assert (await services.approvals.directory()).stopped == ()
    assert [one.kind for one in await records(store)][-2:] == ["approvalDecided", "approvalDecided"]


@on_every_store
async def test_a_threshold_is_opened_by_its_approval(store: Store) -> None:
    account = ledgers.account(thresholds=(Threshold(90, (ThresholdAction.REQUIRE_APPROVAL,)),))
    services = hub(store)

    def ask(number: int) -> LeaseRequest:
        return LeaseRequest(ledgers.epoch(), number, (Need(account.key, account, 5 * USD, 5 * USD),), ledgers.PATH)

    reply = await ledgers.lease(services, ask(1))
    assert not isinstance(reply, LeaseGrant)
    assert reply.approval is not None
    await services.approvals.approve(reply.approval, "root")
    assert isinstance(await ledgers.lease(services, ask(2)), LeaseGrant)


@on_every_store
async def test_what_comes_into_force_is_on_record(store: Store) -> None:
    services = hub(store)
    parts = {"organization": OrganizationPart("test"), "prices": PricePart()}
    first = await services.configuration.publish(parts, actor="root")
    assert [change.part for change in first] == ["organization", "prices"]
    assert await services.configuration.publish(parts) == []
    changed = await services.configuration.publish({"organization": OrganizationPart("test", Settings(max_users=7))})
    assert [(change.part, change.replaced is None) for change in changed] == [
        ("organization", False),
        ("prices", False),
    ]
    assert [each.kind for each in await records(store)] == ["inForce"] * 3
    assert [row.part for row in await store.parts(NOW + 1)] == ["organization"]


@on_every_store
async def test_a_settlement_reaches_its_accounts_and_the_path(store: Store) -> None:
    services = hub(store)
    team = ledgers.account()
    request = LeaseRequest(ledgers.epoch(), 1, (Need(team.key, team, USD, USD),), ledgers.PATH)
    grant = await ledgers.lease(services, request)
    assert isinstance(grant, LeaseGrant)
    charged = (Charged(grant.leases[0].id, team.key, USD),)
    await services.deliver([ledgers.settlement("pod-1:1/1", 30), ledgers.intent("pod-1:1/1", USD, charged)])
    (window,) = await store.windows(NOW)
    assert (window.spent, window.leased) == (30, grant.leases[0].amount - 30)
    for target in ledgers.PATH:
        assert await store.spent(target, NOW, NOW + 1) == 30
