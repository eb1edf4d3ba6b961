"""What the listener serves: a request's way from its first line to its last byte (design section 5).

Route, parse, identify, decide, wait for its turn; then one attempt or, where a policy allows more, several. Each phase
either knows more afterwards or ends the request by raising `RefusedError`, which is answered in one place.
"""

import asyncio
import functools
import os
from collections.abc import Callable

import msgspec

from llmgov.ledger.messages import Subject
from llmgov.policy import access, engine, refusals
from llmgov.policy.decision import Action, Decision, Violation, Workload
from llmgov.policy.runtime import Runtime
from llmgov.wire import formats, malformed, route, splice
from llmgov.wire import refusals as shapes
from llmgov.wire.events import Format, Reason, ReplaceText, Request, Route
from llmgov_sidecar import caller, headers, http1, server
from llmgov_sidecar.attempt import Attempt
from llmgov_sidecar.configuration import Active, Configuration
from llmgov_sidecar.passage import UNMETERED, Passage, RefusedError
from llmgov_sidecar.services import Services
from llmgov_sidecar.turns import Turns

_PAUSE = 0.25
_LONGEST_PAUSE = 2.0


class Proxy:
    """The application of the proxy's listener."""

    def __init__(self, services: Services, configuration: Configuration, workload: Workload, turns: Turns) -> None:
        self._services = services
        self._configuration = configuration
        self._workload = workload
        self._turns = turns

    async def serve(self, exchange: server.Exchange) -> None:
        """Answer one request."""
        who = caller.of(exchange.head)
        passage = Passage(exchange, who, _request_id(), self._services.clock(), self._workload, who.found.format)
        exchange.on_gone = _canceller()
        metrics = self._services.metrics
        metrics.http_in_flight.value += 1
        decision = "error"
        try:
            await self._answer(passage)
            decision = passage.action.value
        except RefusedError as refused:
            decision = self._refuse(passage, refused)
        except Exception:
            self._refuse(passage, RefusedError(refusals.unavailable("an internal error")))
            raise
        finally:
            exchange.on_gone = None  # it leads back to the passage: without it, what a request held is freed at once
            metrics.http_in_flight.value -= 1
            self._services.records.ended(passage, decision)

    def fault(self, head: http1.Head | None, fault: http1.MessageError) -> server.Answer:
        """The answer to a message that breaks the rules, in the shape that its path suggests."""
        shape = caller.of(head).found.format if head is not None else Format.OPENAI
        refusal, request_id = refusals.unreadable(fault.status, fault.words), _request_id()
        answer = shapes.render(shape, refusal, request_id)
        self._services.records.faulted(request_id, _nobodys(self._workload), refusal, fault.status)
        return server.Answer(fault.status, headers.lines(answer.headers), answer.body)

    async def _answer(self, passage: Passage) -> None:
        who = passage.caller
        active = passage.active = self._active()
        if isinstance(who.found, route.Unrouted):
            await self._pass_uncounted(passage, active, who.found)
            return
        request = passage.request = _understood(who.found, who.coding, passage.exchange.body)
        passage.operation = who.found.operation.value
        self._identify(passage, active, request.user)
        await self._govern(passage, active, request, who.patience)

    def _active(self) -> Active:
        current = self._configuration.current
        if current is None:
            raise RefusedError(refusals.unavailable("there is no configuration yet"))
        if self._configuration.stale:
            raise RefusedError(refusals.unavailable("the configuration is older than the settings allow"))
        return current

    def _identify(self, passage: Passage, active: Active, body_user: str | None) -> None:
        who = passage.caller.identify(active, self._workload, body_user, self._services.clock())
        passage.strip = who.strip
        passage.principal = who.principal
        if who.refusal is not None:
            raise RefusedError(who.refusal)
        if who.ignored:
            ignored = Violation(engine.SETTINGS, Action.DENY, "invalid_token", who.ignored, dry_run=True)
            self._services.records.violated(passage, None, (ignored,))

    async def _pass_uncounted(self, passage: Passage, active: Active, found: route.Unrouted) -> None:
        """A route that is not governed: refused, unless a policy lists it as unmetered."""
        passage.operation = UNMETERED
        self._identify(passage, active, None)
        head, principal = passage.exchange.head, passage.principal
        assert principal is not None
        policy = access.unmetered(head.method, head.target.partition("?")[0], principal, active.runtime)
        if policy is None or not found.upstream_path:
            raise RefusedError(found.refusal)
        plan = active.runtime.plan(principal, found.format, "")
        decision = passage.decision = Decision(Action.ALLOW, provider=plan.provider, path=plan.path)
        if plan.provider is None:
            raise RefusedError(refusals.no_provider(found.format.value, self._workload.namespace))
        await Attempt(self._services, passage, active, decision, may_retry=False).run()

    async def _govern(self, passage: Passage, active: Active, request: Request, patience: int | None) -> None:
        decision = self._decide(passage, active.runtime, request, patience)
        further = [request.model] * decision.retries + list(decision.fallback_models)
        turn = 0
        while not await self._attempt(passage, active, decision, may_retry=bool(further)):
            passage.exchange.on_gone = _canceller()
            await asyncio.sleep(min(_PAUSE * 2**turn, _LONGEST_PAUSE))
            turn += 1
            request = passage.request = _with_model(request, further.pop(0))
            passage.dispatched, passage.tokens = False, None
            decision = self._decide(passage, active.runtime, request, patience)

    def _decide(self, passage: Passage, runtime: Runtime, request: Request, patience: int | None) -> Decision:
        assert passage.principal is not None
        decision = passage.decision = engine.decide(
            request,
            passage.principal,
            runtime,
            self._turns.state,
            self._services.clock(),
            patience=patience,
            stopped=self._services.stopped.names,
        )
        self._services.records.evaluated(passage)
        if decision.refusal is not None:
            raise RefusedError(decision.refusal, decision.violations, decision.approval_request)
        return decision

    async def _attempt(self, passage: Passage, active: Active, decision: Decision, *, may_retry: bool) -> bool:
        """Wait for the turn and make one attempt; what was counted for it in the rate windows is settled with it."""
        try:
            if not await self._turns.wait(decision):
                policy = next((one.policy for one in decision.violations if not one.dry_run), None)
                raise RefusedError(refusals.waited_in_vain(policy), decision.violations)
            return await Attempt(self._services, passage, active, decision, may_retry=may_retry).run()
        finally:
            if passage.dispatched:
                self._turns.release(decision.rate_keys, passage.tokens)
            else:
                self._turns.cancel(decision.rate_keys)

    def _refuse(self, passage: Passage, refused: RefusedError) -> str:
        """Answer with a refusal, and put it on record; returns the decision's word."""
        refusal, exchange = refused.refusal, passage.exchange
        status = passage.active.runtime.settings.budget_status if passage.active is not None else 402
        answer = shapes.render(passage.shape, refusal, passage.request_id, status)
        passage.status = answer.status
        if not exchange.started:
            exchange.respond(answer.status, headers.lines(answer.headers), answer.body)
        self._services.records.count_violations(refused.violations)
        refused.refusal = shapes.spread(refusal, passage.request_id)
        if refusal.reason is not Reason.UPSTREAM:  # then the attempt's own settlement says it
            self._services.records.refused(passage, refused, answer.status)
        return dict(answer.headers)["x-llmgov-decision"]


def _request_id() -> str:
    return f"req_{os.urandom(12).hex()}"


def _nobodys(workload: Workload) -> Subject:
    """The subject of a message that never said what it asks for."""
    return Subject(workload.namespace, workload.service_account, None, (), (), "", "", "", workload.pod)


def _cancel(task: "asyncio.Task[object]") -> None:
    task.cancel()


def _canceller() -> Callable[[], None]:
    """Ends the current task: before anything is dispatched, a client that leaves ends its request."""
    task = asyncio.current_task()
    assert task is not None
    return functools.partial(_cancel, task)


def _understood(found: Route, coding: str | None, body: bytes) -> Request:
    if coding is not None:
        raise RefusedError(refusals.encoded_body(coding))
    try:
        return formats.parse_request(found, body)
    except malformed.RequestError as error:
        raise RefusedError(error.refusal) from error


def _with_model(request: Request, model: str) -> Request:
    if model == request.model:
        return request
    return msgspec.structs.replace(request, model=model, body=splice.apply(request.body, [ReplaceText("model", model)]))
