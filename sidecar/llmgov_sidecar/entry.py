"""One attempt on record: its intent before dispatch, what is noticed meanwhile, and its one settlement.

An attempt is settled exactly once, whatever happens: free where nothing was written to the provider, by the usage where
that was learnt, and with the hold otherwise. The settlement is written before the purse lets its money go, however long
the disk refuses it.
"""

import functools

from llmgov.audit import prompts
from llmgov.instants import Instant
from llmgov.ledger import billing
from llmgov.ledger.messages import Intent, Outcome, Settlement
from llmgov.money import MicroUsd
from llmgov.policy import refusals
from llmgov.policy.decision import Action, Decision, Violation
from llmgov.prices.document import CALLS
from llmgov.snapshot import Audience, Dimension, Settings
from llmgov.wire.events import ReplaceText, Request, Usage
from llmgov_sidecar import funds
from llmgov_sidecar.configuration import Active
from llmgov_sidecar.forward import Learnt
from llmgov_sidecar.funds import NOTHING, Hold
from llmgov_sidecar.passage import Passage, RefusedError
from llmgov_sidecar.services import Services
from llmgov_sidecar.spool import Position, SpoolFullError


class Entry:
    """What is on record of one attempt. `id` is empty until the intent is."""

    __slots__ = ("_active", "_began", "_decision", "_noticed", "_passage", "_services", "hold", "id", "settled")

    def __init__(self, services: Services, passage: Passage, active: Active, decision: Decision) -> None:
        self.id = ""
        self.hold: Hold = NOTHING
        self.settled = False
        self._services = services
        self._passage = passage
        self._active = active
        self._decision = decision
        self._began: Instant = services.clock()
        self._noticed = list(decision.violations)

    def notice(self, violation: Violation) -> None:
        """Remember what is to be put on record behind the intent."""
        self._noticed.append(violation)

    @property
    def noticed(self) -> tuple[Violation, ...]:
        """What is not on record yet."""
        return tuple(self._noticed)

    async def begin(self) -> None:
        """Put the intent on record, and wait until it is durable where a policy or the settings require it.

        Raises:
            RefusedError: there is no room on record, or strict audit is out of reach.
        """
        decision, settings = self._decision, self._active.runtime.settings
        position = self._append(self._intent(settings))
        self._services.observer("intent")
        self.violated()
        if self.hold.strict or funds.is_strict(decision, settings):
            delivery, seconds = self._services.delivery, self._services.settings.strict_seconds
            if delivery is None or not await delivery.taken(self.id, position, seconds):
                raise RefusedError(refusals.unavailable("the audit is out of reach, and a policy requires it"))

    def violated(self, violations: tuple[Violation, ...] = ()) -> None:
        """Put on record what was noticed so far, and now."""
        if self._noticed or violations:
            noticed, self._noticed = (*self._noticed, *violations), []
            self._services.records.violated(self._passage, self.id or None, noticed)

    def settle(self, learnt: Learnt, status: int) -> MicroUsd:
        """Settle by what the answer said; returns the cost."""
        self._services.observer("usage")
        if learnt.free:
            return self._end(Outcome.FREE, 0, {}, status)
        if learnt.usage is None:
            if learnt.unreported:
                self._doubt(billing.UNREPORTED)
            return self._end(self._unlearnt(), self.hold.amount, {}, status)
        return self._settle_usage(learnt.usage, status, produced=learnt.produced)

    def settle_free(self) -> None:
        """Nothing was sent to the provider."""
        self._end(Outcome.FREE, 0, {}, 0)

    def settle_unknown(self, *, lost: bool) -> None:
        """The last resort: the provider may have done the work. `lost`: by no doing of the client's."""
        if not self.settled:
            self._end(Outcome.UNKNOWN if lost else self._unlearnt(), self.hold.amount, {}, 0)

    def _intent(self, settings: Settings) -> Intent:
        decision, passage, hold = self._decision, self._passage, self.hold
        return Intent(
            id=self._services.ids(),
            at=self._services.clock(),
            request_id=passage.request_id,
            subject=passage.subject(),
            hold=hold.amount,
            charged=hold.charged,
            snapshot=self._active.versions,
            policies=decision.policies,
            prompt=self._prompt(passage.request) if passage.request is not None else None,
            retention_days=decision.retention_days or settings.retention_days,
            approval=decision.approval.id if decision.approval is not None else None,
        )

    def _prompt(self, request: Request) -> str | None:
        original = [text.text for text in request.texts]
        edits = {edit.path: edit.text for edit in self._decision.edits if isinstance(edit, ReplaceText)}
        redacted = [edits.get(text.path, text.text) for text in request.texts] if edits else original
        return prompts.record(self._active.runtime.settings.prompts, original, redacted, self._services.digest_key)

    def _append(self, intent: Intent) -> Position:
        try:
            position = self._services.journal.begin(intent)
        except (SpoolFullError, OSError) as error:
            raise RefusedError(refusals.unavailable("the record of requests takes nothing more")) from error
        self.id = intent.id
        return position

    def _settle_usage(self, usage: Usage, status: int, *, produced: bool) -> MicroUsd:
        plan, hold = self._decision.plan, self.hold.amount
        facts = self._passage.request.cost if self._passage.request is not None else None
        bill = billing.bill(usage, plan.price if plan is not None else None, hold, facts, produced=produced)
        if bill.doubt is None or bill.doubt.counts:
            self._passage.tokens = sum([count for kind, count in usage.counts.items() if kind not in CALLS])
        if bill.doubt is None:
            if bill.cost > hold:
                self._stop("has cost more than was held")
            return self._end(bill.outcome, bill.cost, bill.usage, status)
        self._doubt(bill.doubt)
        return self._end(bill.outcome, bill.cost, bill.usage, status, bill.doubt.what if bill.doubt.stops else "")

    def _doubt(self, doubt: billing.Doubt) -> None:
        """The provider's report is not believed: on record, and where `stops` no more of its model."""
        message = f"llmgov: {self._model} {doubt.what}"
        notify = (Audience.ADMINS,)
        self.violated((Violation(self._model, Action.FLAG, doubt.reason, message, notify=notify),))
        if doubt.stops:
            self._stop(doubt.what)

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
        if self.settled:
            return cost
        self.settled = True
        services, hold = self._services, self.hold
        let_go = functools.partial(_let_go, services, hold, cost)
        if self.id:
            settlement = self._settlement(outcome, cost, usage, status, stop)
            services.ends.put(settlement, let_go)
            services.records.settled(self._passage, settlement, hold.amount)
        else:
            let_go()
        services.observer("settled")
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
            duration=max(0, now - self._began),  # the clock may have been set back
            overrun=cost > self.hold.amount,
            stop=stop,
        )


def _let_go(services: Services, hold: Hold, cost: MicroUsd) -> None:
    if hold.leased and services.leasing is not None:
        services.leasing.settle(hold.ticket, cost)
