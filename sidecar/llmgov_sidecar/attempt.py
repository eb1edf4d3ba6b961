"""One attempt: hold the money, put the intent on record, dispatch, pass the answer on.

How it ends on record, and that it does exactly once, is the entry's business; the money's is that of `funds`.
"""

import asyncio

from llmgov.money import MicroUsd
from llmgov.policy import cost, output, refusals
from llmgov.policy.decision import Action, Clamp, Decision, Violation
from llmgov.wire import formats, splice
from llmgov.wire import refusals as shapes
from llmgov.wire.events import Edit, Refusal
from llmgov_sidecar import forward, funds, headers
from llmgov_sidecar.configuration import Active, Target
from llmgov_sidecar.entry import Entry
from llmgov_sidecar.forward import Forwarder, Learnt
from llmgov_sidecar.passage import Passage, RefusedError
from llmgov_sidecar.services import Services
from llmgov_sidecar.upstream import Cause, Connection, UpstreamError


class Attempt:
    """One dispatch of a decided request. `may_retry` says that a failed answer need not be passed on."""

    def __init__(self, services: Services, passage: Passage, active: Active, decision: Decision, *, may_retry: bool):
        self.may_retry = may_retry
        self._services = services
        self._step = services.observer
        self._passage = passage
        self._active = active
        self._decision = decision
        self._entry = Entry(services, passage, active, decision)
        self._connection: Connection | None = None

    async def run(self) -> bool:
        """Carry the attempt out; false where another may do better and nothing has been sent to the client.

        Raises:
            RefusedError: no money, no room on record, or no answer from the provider; the attempt is settled.
        """
        entry = self._entry
        try:
            target = self._target()
            await self._set_aside()
            self._step("held")
            body = self._edited()
            head = self._passage.caller.upstream(target, self._passage.strip, len(body), self._renamed())
            await entry.begin()
            connection = self._connection = await self._services.pool.connect(target.origin)
        except RefusedError as refused:
            refused.violations = (*entry.noticed, *refused.violations)
            entry.settle_free()
            raise
        except UpstreamError as error:
            entry.settle_free()
            return self._failed(error)
        except BaseException:
            entry.violated()
            entry.settle_free()
            raise
        try:
            return await self._dispatch(connection, head + body)
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

    def _renamed(self) -> str:
        """What the provider calls the model of a request that names it in its path alone, by an alias; else nothing."""
        request, decision = self._passage.request, self._decision
        if request is None or request.body or decision.model == request.model:
            return ""
        return "" if decision.provider is not None and decision.provider.kind == "azure-openai" else decision.model

    async def _set_aside(self) -> None:
        hold = self._entry.hold = await funds.set_aside(self._services, self._passage, self._decision)
        if hold.over:
            for violation in funds.found_over(hold, self._decision):
                self._entry.notice(violation)

    def _edited(self) -> bytes:
        """The body to send: what the client sent, but for redactions, the model's name, the maximum, the usage."""
        passage, request = self._passage, self._passage.request
        if request is None:
            return passage.exchange.body
        edits: list[Edit] = [*self._decision.edits, *formats.usage_edits(request)]
        passage.clamp = self._decision.clamp
        plan, hold = self._decision.plan, self._entry.hold
        lowered = cost.lower(plan, hold.amount, hold.tightest) if plan is not None else None
        if plan is not None and lowered is not None:
            clamp, edit = lowered
            edits.append(edit)
            if clamp.value < plan.max_output or clamp.policy:
                passage.clamp = clamp
                self._clamped(clamp, "affords" if clamp.value < plan.max_output else "allows")
        return splice.apply(request.body, edits) if edits else request.body

    def _clamped(self, clamp: Clamp, does: str) -> None:
        message = f"llmgov: {clamp.policy} {does} at most {clamp.value} output tokens; {clamp.field} was set"
        self._entry.notice(Violation(clamp.policy, Action.CLAMP, "max_output_tokens", message, path=clamp.field))

    async def _dispatch(self, connection: Connection, message: bytes) -> bool:
        passage, entry = self._passage, self._entry
        passage.dispatched = True
        passage.attempts += 1
        passage.exchange.on_gone = self.leave
        self._step("dispatched")
        try:
            reply = await connection.ask(passage.caller.method, message)
            self._step("first_byte")
            forwarder = Forwarder(passage, connection, self, self._services.settings.answer_bytes)
            return await forwarder.forward(
                reply, self.ours(), self._active.runtime.output_scanner(self._decision.output)
            )
        except UpstreamError as error:
            entry.settle_unknown(lost=error.cause is not Cause.ABORTED)
            return self._failed(error)
        finally:
            entry.settle_unknown(lost=False)

    def ours(self) -> headers.Ours:
        """What an answer says about its decision, as far as that is known."""
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
        if status == forward.KEY_REFUSED:
            self._log_refused_key()
        return self._entry.settle(learnt, status)

    def _log_refused_key(self) -> None:
        provider = self._decision.provider
        name = provider.id if provider is not None else ""
        self._services.log.warning("the provider refused the key", request_id=self._passage.request_id, credential=name)

    def found(self, violations: tuple[Violation, ...]) -> None:
        """Filters found something in the answer."""
        self._passage.judged(violations)
        self._entry.violated(violations)

    def unread(self, why: str, guard: str | None) -> None:
        """The answer cannot be read: an administrator should know, whatever becomes of it."""
        subject = self._passage.subject()
        self._services.log.warning("an answer cannot be read", request_id=self._passage.request_id, why=why)
        violation = output.unread(f"{subject.provider}/{subject.model}", why, guard)
        if guard is not None:
            self._passage.judged((violation,))
        self._entry.violated((violation,))

    def withhold(self, refusal: Refusal) -> None:
        """Tell the client why it does not get the answer."""
        passage = self._passage
        answer = shapes.render(passage.shape, refusal, passage.request_id)
        passage.status = answer.status
        passage.exchange.respond(answer.status, headers.lines(answer.headers), answer.body)

    def leave(self) -> None:
        """Nobody waits for the answer any more: read on for a bounded time, to learn what it cost."""
        if self._connection is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(self._services.settings.learn_seconds, self._give_up)

    def _give_up(self) -> None:
        if self._connection is not None:
            self._connection.abort(Cause.ABORTED, "the client left, and the time to learn the usage is over")
