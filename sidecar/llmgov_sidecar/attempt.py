"""One attempt: hold the money, put the intent on record, dispatch, pass the answer on, settle.

Whatever happens in between, an attempt that holds money is settled exactly once: free where nothing was written to the
provider, by the usage where that was learnt, and with the hold otherwise.
"""

import asyncio
import dataclasses
import itertools
from collections.abc import Callable, Iterator

import msgspec

from llmgov.audit import prompts
from llmgov.instants import Instant
from llmgov.ledger import billing, telling
from llmgov.ledger.commands import Held
from llmgov.ledger.messages import Charged, Intent, LeaseRefusal, Outcome, Settlement, Why
from llmgov.ledger.purse import Wish
from llmgov.money import MicroUsd
from llmgov.policy import cost, refusals, rules
from llmgov.policy.decision import Action, ApprovalRequest, Charge, Clamp, Decision, Violation
from llmgov.prices.document import CALLS
from llmgov.snapshot import Approval, Audience, AuditMode, Dimension, OnFailure
from llmgov.wire import formats, splice
from llmgov.wire import refusals as shapes
from llmgov.wire.events import Edit, Refusal, ReplaceText, Request
from llmgov_sidecar import forward, headers, http1
from llmgov_sidecar.configuration import Active, Target
from llmgov_sidecar.delivery import Delivery
from llmgov_sidecar.forward import Forwarder, Learnt
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.leasing import Leasing, NoMoneyError
from llmgov_sidecar.logs import Log
from llmgov_sidecar.metrics import Metrics
from llmgov_sidecar.passage import Observer, Passage, RefusedError
from llmgov_sidecar.records import Records
from llmgov_sidecar.settings import Settings
from llmgov_sidecar.spool import SpoolFullError
from llmgov_sidecar.stopped import Stopped
from llmgov_sidecar.upstream import Cause, Connection, Pool, UpstreamError


@dataclasses.dataclass(slots=True)
class Services:
    """What attempts share. `leasing` and `delivery` are `None` while the hub has not been reached.

    `ids` gives what is on record its numbers, and what never gets there takes none: a number that the audit lacks is a
    loss. `tickets` tell apart who asks for money.
    """

    settings: Settings
    clock: Callable[[], Instant]
    ids: Callable[[], str]
    journal: Journal
    pool: Pool
    records: Records
    metrics: Metrics
    log: Log
    observer: Observer
    digest_key: bytes
    stopped: Stopped
    tickets: Iterator[int] = dataclasses.field(default_factory=itertools.count)
    leasing: Leasing | None = None
    delivery: Delivery | None = None


class _Hold(msgspec.Struct, frozen=True):
    """What is set aside: nothing is charged where no account is limited or none can be reached and that is allowed."""

    amount: MicroUsd
    charged: tuple[Charged, ...] = ()
    leased: bool = False
    tightest: str = ""


class Attempt:
    """One dispatch of a decided request. `may_retry` says that a failed answer need not be passed on.

    `id` is empty until the intent is on record.
    """

    def __init__(self, services: Services, passage: Passage, active: Active, decision: Decision, *, may_retry: bool):
        self.id = ""
        self.may_retry = may_retry
        self._services = services
        self._step = services.observer
        self._passage = passage
        self._active = active
        self._decision = decision
        self._ticket = str(next(services.tickets))
        self._noticed = list(decision.violations)
        self._hold = _Hold(0)
        self._began: Instant = services.clock()
        self._settled = False
        self._connection: Connection | None = None

    async def run(self, path: str, method: str) -> bool:
        """Carry the attempt out; false where another may do better and nothing has been sent to the client.

        Raises:
            RefusedError: no money, no room on record, or no answer from the provider; the attempt is settled.
        """
        try:
            target = self._target()
            self._hold = await self._set_aside()
            self._step("held")
            body = self._edited()
            message = headers.upstream(
                method, target, path, self._passage.exchange.head.headers, self._passage.strip, len(body)
            )
            await self._intend()
            connection = self._connection = await self._services.pool.connect(target.origin)
        except RefusedError as refused:
            refused.violations = (*self._noticed, *refused.violations)
            self._end(Outcome.FREE, 0, {}, 0)
            raise
        except UpstreamError as error:
            self._end(Outcome.FREE, 0, {}, 0)
            return self._failed(error)
        except BaseException:
            self._violated()
            self._end(Outcome.FREE, 0, {}, 0)
            raise
        try:
            return await self._dispatch(connection, method, message + body)
        finally:
            self._connection = None
            self._services.pool.release(target.origin, connection)

    def _target(self) -> Target:
        provider = self._decision.provider
        target = self._active.targets.get(provider.id) if provider else None
        if target is None:
            name = f"ProviderCredential {provider.id}" if provider else "any ProviderCredential"
            raise RefusedError(refusals.unavailable(f"the key of {name} is not at hand"))
        return target

    async def _set_aside(self) -> _Hold:
        plan = self._decision.plan
        accounts, least, want = (plan.accounts, plan.least, plan.want) if plan is not None else ((), 0, 0)
        if not any(one.enforced for one in accounts):
            # Nobody's limit keeps a client's own maximum within what the ledger's columns can sum.
            least, want = min(least, billing.MAX_COST), min(want, billing.MAX_COST)
        if not accounts and self._decision.approval is None:
            return _Hold(want)
        try:
            answer = await self._lend(accounts, least, want)
        except NoMoneyError as error:
            if self._fails_open(accounts):
                return _Hold(min(want, billing.MAX_COST))
            raise RefusedError(refusals.unavailable(str(error))) from error
        if isinstance(answer, LeaseRefusal):
            raise _out_of_money(answer, self._decision)
        for key, percent in answer.over.items():
            self._found_over(accounts, key, percent)
        return _Hold(answer.amount, answer.charged, leased=True, tightest=answer.tightest)

    async def _lend(self, accounts: tuple[Charge, ...], least: MicroUsd, want: MicroUsd) -> Held | LeaseRefusal:
        """Money, and the approval with it: also where nothing is charged, an approval is used up at the hub."""
        leasing = self._services.leasing
        if leasing is None:
            raise NoMoneyError("the ledger is out of reach")
        approval = self._decision.approval.id if self._decision.approval is not None else None
        return await leasing.hold(Wish(self._ticket, accounts, least, want, self._decision.path, approval))

    def _fails_open(self, accounts: tuple[Charge, ...]) -> bool:
        settings, approved = self._active.runtime.settings, self._decision.approval is not None
        enforced = any(one.enforced for one in accounts)
        # An approval is good for one attempt, and only the ledger knows whether it is still unused.
        allowed = not approved and (settings.ledger_unavailable is OnFailure.OPEN or not enforced)
        if allowed:
            self._services.log.warning("passed without a lease", request_id=self._passage.request_id)
        return allowed

    def _found_over(self, accounts: tuple[Charge, ...], key: str, percent: int) -> None:
        source = next((charge.account.source for charge in accounts if charge.key == key), key)
        message = f"llmgov: {source} is above {percent} % of its limit, which is not enforced"
        self._noticed.append(Violation(source, Action.DENY, f"threshold:{percent}", message, dry_run=True))

    def _edited(self) -> bytes:
        """The body to send: what the client sent, but for redactions, the model's name, the maximum, the usage."""
        passage, request = self._passage, self._passage.request
        if request is None:
            return passage.exchange.body
        edits: list[Edit] = [*self._decision.edits, *formats.usage_edits(request)]
        passage.clamp = self._decision.clamp
        plan = self._decision.plan
        lowered = cost.lower(plan, self._hold.amount, self._hold.tightest) if plan is not None else None
        if plan is not None and lowered is not None:
            clamp, edit = lowered
            edits.append(edit)
            if clamp.value < plan.max_output or clamp.policy:
                passage.clamp = clamp
                self._clamped(clamp, "affords" if clamp.value < plan.max_output else "allows")
        return splice.apply(request.body, edits) if edits else request.body

    def _clamped(self, clamp: Clamp, does: str) -> None:
        message = f"llmgov: {clamp.policy} {does} at most {clamp.value} output tokens; {clamp.field} was set"
        self._noticed.append(Violation(clamp.policy, Action.CLAMP, "max_output_tokens", message, path=clamp.field))

    async def _intend(self) -> None:
        decision, passage, settings = self._decision, self._passage, self._active.runtime.settings
        intent = Intent(
            id=self._services.ids(),
            at=self._services.clock(),
            request_id=passage.request_id,
            subject=passage.subject(),
            hold=self._hold.amount,
            charged=self._hold.charged,
            snapshot=self._active.versions,
            policies=rules.applied(decision.evaluations),
            prompt=self._prompt(passage.request) if passage.request is not None else None,
            retention_days=decision.retention_days or settings.retention_days,
            approval=decision.approval.id if decision.approval is not None else None,
        )
        try:
            position = self._services.journal.begin(intent)
        except (SpoolFullError, OSError) as error:
            raise RefusedError(refusals.unavailable("the record of requests takes nothing more")) from error
        self.id = intent.id
        self._step("intent")
        self._violated()
        if decision.strict_audit or settings.audit is AuditMode.STRICT:
            delivery, seconds = self._services.delivery, self._services.settings.strict_seconds
            if delivery is None or not await delivery.wait(position, seconds):
                raise RefusedError(refusals.unavailable("the audit is out of reach, and a policy requires it"))

    def _prompt(self, request: Request) -> str | None:
        edits = {edit.path: edit.text for edit in self._decision.edits if isinstance(edit, ReplaceText)}
        original = (text.text for text in request.texts)
        redacted = (edits.get(text.path, text.text) for text in request.texts)
        return prompts.record(self._active.runtime.settings.prompts, original, redacted, self._services.digest_key)

    async def _dispatch(self, connection: Connection, method: str, message: bytes) -> bool:
        passage = self._passage
        passage.dispatched = True
        passage.attempts += 1
        passage.exchange.on_gone = self.leave
        self._step("dispatched")
        try:
            reply = await connection.ask(method, message)
            self._step("first_byte")
            forwarder = Forwarder(passage, connection, self, self._services.settings.answer_bytes)
            return await forwarder.forward(
                reply, self._ours(), self._active.runtime.output_scanner(self._decision.output)
            )
        except UpstreamError as error:
            self._settle_unknown(error)
            return self._failed(error)
        finally:
            self._settle_unknown(None)

    def _ours(self) -> list[http1.Header]:
        passage = self._passage
        rate = self._decision.rate_headers
        return headers.about(passage.shape, passage.request_id, passage.action, passage.policy, passage.clamp, rate)

    def _failed(self, error: UpstreamError) -> bool:
        passage = self._passage
        self._services.metrics.upstream_failures.add(error.cause.value)
        self._services.log.warning(
            "no answer", request_id=passage.request_id, cause=error.cause.value, words=error.words
        )
        if passage.exchange.started:
            if not passage.exchange.ended:
                self._break_off(error)
            return True
        if passage.exchange.gone:
            return True
        if self.may_retry and error.cause is not Cause.AMBIGUOUS:
            return False
        raise RefusedError(forward.failed(error))

    def _break_off(self, error: UpstreamError) -> None:
        """End an answer under way: SDKs raise a typed error for the event, other readers see the cut."""
        passage, request = self._passage, self._passage.request
        if request is not None:
            refusal = refusals.upstream_broke_off(error.words)
            operation = request.route.operation
            passage.exchange.write(shapes.render_in_stream(passage.shape, operation, refusal, passage.request_id))
        passage.exchange.cut()

    def settle(self, learnt: Learnt, status: int) -> MicroUsd:
        """Settle by what the answer said."""
        self._step("usage")
        if status == forward.KEY_REFUSED:
            self._log_refused_key()
        if learnt.free:
            return self._end(Outcome.FREE, 0, {}, status)
        if learnt.usage is None:
            return self._end(self._unlearnt(), self._hold.amount, {}, status)
        usage, plan = learnt.usage, self._decision.plan
        bill = billing.bill(usage, plan.price if plan is not None else None, self._hold.amount)
        if not (usage.unreadable or usage.implausible):
            self._passage.tokens = sum(count for dimension, count in usage.counts.items() if dimension not in CALLS)
        if bill.doubt is None:
            if bill.cost > self._hold.amount:
                self._stop("has cost more than was held")
            return self._end(bill.outcome, bill.cost, bill.usage, status)
        self._doubt(bill.doubt)
        return self._end(bill.outcome, bill.cost, bill.usage, status, bill.doubt.what if bill.doubt.stops else "")

    def _doubt(self, doubt: billing.Doubt) -> None:
        """The provider's report is not believed: on record, and where `stops` no more of its model."""
        message = f"llmgov: {self._model} {doubt.what}"
        notify = (Audience.ADMINS,)
        self._violated((Violation(self._model, Action.FLAG, doubt.reason, message, notify=notify),))
        if doubt.stops:
            self._stop(doubt.what)

    def _log_refused_key(self) -> None:
        provider = self._decision.provider
        name = provider.id if provider is not None else ""
        self._services.log.warning("the provider refused the key", request_id=self._passage.request_id, credential=name)

    def found(self, violations: tuple[Violation, ...]) -> None:
        """Filters found something in the answer."""
        self._violated(violations)

    def withhold(self, refusal: Refusal) -> None:
        """Tell the client why it does not get the answer."""
        passage = self._passage
        answer = shapes.render(passage.shape, refusal, passage.request_id)
        passage.status = answer.status
        ours = tuple((name.encode(), value.encode("latin-1", "replace")) for name, value in answer.headers)
        passage.exchange.respond(answer.status, ours, answer.body)

    def leave(self) -> None:
        """Nobody waits for the answer any more: read on for a bounded time, to learn what it cost."""
        if self._connection is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self._services.settings.learn_seconds, self._give_up)

    def _give_up(self) -> None:
        if self._connection is not None:
            self._connection.abort(Cause.ABORTED, "the client left, and the time to learn the usage is over")

    def _settle_unknown(self, error: UpstreamError | None) -> None:
        """The last resort: the provider may have done the work."""
        if not self._settled:
            lost = error is not None and error.cause is not Cause.ABORTED
            self._end(Outcome.UNKNOWN if lost else self._unlearnt(), self._hold.amount, {}, 0)

    def _unlearnt(self) -> Outcome:
        return Outcome.ABANDONED if self._passage.exchange.gone else Outcome.UNKNOWN

    @property
    def _model(self) -> str:
        """As the ledger names it when it stops it."""
        subject = self._passage.subject()
        return f"{subject.provider}/{subject.model}"

    def _stop(self, why: str) -> None:
        self._services.stopped.add(self._model)
        self._services.log.warning("model stopped under cost limits", model=self._model, why=why)

    def _end(
        self, outcome: Outcome, cost: MicroUsd, usage: dict[Dimension, int], status: int, stop: str = ""
    ) -> MicroUsd:
        if self._settled:
            return cost
        self._settled = True
        settlement = self._settlement(outcome, cost, usage, status, stop) if self.id else None
        if settlement is not None:
            self._record(settlement)
        if self._hold.leased and self._services.leasing is not None:
            self._services.leasing.settle(self._ticket, cost)
        if settlement is not None:
            self._services.records.settled(self._passage, settlement, self._hold.amount)
        self._step("settled")
        return cost

    def _settlement(
        self, outcome: Outcome, cost: MicroUsd, usage: dict[Dimension, int], status: int, stop: str
    ) -> Settlement:
        now = self._services.clock()
        return Settlement(
            id=self.id,
            at=now,
            outcome=outcome,
            cost=cost,
            usage=usage,
            status=status,
            model=self._decision.model,
            duration=now - self._began,
            overrun=cost > self._hold.amount,
            stop=stop,
        )

    def _record(self, settlement: Settlement) -> None:
        try:
            self._services.journal.end_attempt(settlement)
        except OSError as error:
            self._services.log.failure("spool", error)

    def _violated(self, violations: tuple[Violation, ...] = ()) -> None:
        """Put on record what was noticed so far, and now."""
        noticed, self._noticed = (*self._noticed, *violations), []
        if noticed:
            self._services.records.violated(self._passage, self.id or None, noticed)


def _out_of_money(refusal: LeaseRefusal, decision: Decision) -> RefusedError:
    plan, approval, asks = decision.plan, decision.approval, decision.approval_request
    match refusal.why:
        case Why.APPROVAL if approval is not None and asks is not None and refusal.approval == approval.id:
            return _used_up(approval, asks)
        case Why.APPROVAL:
            action, reason = Action.REQUIRE_APPROVAL, f"threshold:{refusal.threshold}"
        case Why.EXHAUSTED:
            action, reason = Action.DENY, "budget_exhausted"
        case _:
            return RefusedError(refusals.unavailable("this sidecar's place at the ledger was taken by a newer one"))
    assert plan is not None, "no account refuses what charges none"
    told = telling.told(refusal, plan)
    return RefusedError(told, (Violation(told.policy or refusal.source, action, reason, told.message),))


def _used_up(approval: Approval, asks: ApprovalRequest) -> RefusedError:
    told = refusals.approval_used(asks.policy, approval.id)
    violation = Violation(asks.policy, Action.REQUIRE_APPROVAL, "approval_used", told.message)
    return RefusedError(told, (violation,), asks)
