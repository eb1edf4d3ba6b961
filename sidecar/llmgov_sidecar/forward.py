"""The provider's answer on its way to the client: whole or streamed, filtered, its usage learnt as it passes.

A whole answer is held until it is read, filtered and paid for; a stream goes on frame by frame. When the client has
left, reading goes on for a bounded time, because the provider bills what it has produced.
"""

from typing import Protocol

import msgspec

from llmgov.money import MicroUsd
from llmgov.policy import refusals
from llmgov.policy.decision import Violation
from llmgov.policy.output import OutputScanner
from llmgov.wire import formats, frames, key_errors, sse
from llmgov.wire import refusals as shapes
from llmgov.wire.events import METERED, Answer, Frame, Operation, Refusal, Request, Text, TextRole, Usage
from llmgov_sidecar import headers, http1, readable
from llmgov_sidecar.filtering import StreamFilter
from llmgov_sidecar.headers import Ours
from llmgov_sidecar.passage import Passage
from llmgov_sidecar.upstream import Cause, Connection, UpstreamError

RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
"""Statuses of a provider after which another attempt may succeed."""

KEY_REFUSED = 401
"""The status by which a provider says that the key is not valid: the credential's, as clients' never get there."""

_BAD_GATEWAYS = frozenset({502, 504})


class Learnt(msgspec.Struct, frozen=True):
    """What an answer says of its price: the reported usage, or that it is free, or neither (then it is unknown).

    `unreported` says of the last that the answer is whole and should have had its usage, `produced` of a usage that the
    answer has something of the model's in it.
    """

    usage: Usage | None = None
    free: bool = False
    unreported: bool = False
    produced: bool = False


class Ends(Protocol):
    """What an answer brings about for its attempt."""

    may_retry: bool

    def settle(self, learnt: Learnt, status: int) -> MicroUsd:
        """Called once, as soon as it is known what the attempt cost; returns the cost."""
        ...

    def found(self, violations: tuple[Violation, ...]) -> None:
        """Filters found something in the answer."""
        ...

    def ours(self) -> Ours:
        """What the answer's head says about its decision, as far as that is known."""
        ...

    def unread(self, why: str, guard: str | None) -> None:
        """The answer cannot be read; the policy `guard` withholds it, `None`: it is handed on as it is."""
        ...

    def withhold(self, refusal: Refusal) -> None:
        """A filter refuses the whole answer: the client is told so instead."""
        ...

    def leave(self) -> None:
        """Nobody waits for the rest of the answer: read on for a bounded time only."""
        ...


class RedirectedError(UpstreamError):
    """The provider wants the client elsewhere, where no policy would see it."""

    def __init__(self) -> None:
        super().__init__(Cause.AMBIGUOUS, "it answered with a redirect, which is neither followed nor passed on")


class Forwarder:
    """Passes one answer on."""

    def __init__(self, passage: Passage, connection: Connection, ends: Ends, most: int) -> None:
        self._passage = passage
        self._connection = connection
        self._ends = ends
        self._most = most

    async def forward(self, reply: http1.ReplyHead, ours: Ours, scanner: OutputScanner | None) -> bool:
        """Pass the answer on and settle; false where it is kept back because another attempt may do better.

        Raises:
            UpstreamError: it was cut or is not to be passed on; nothing has been settled unless the usage was known.
        """
        if 300 <= reply.status < 400:
            raise RedirectedError
        request = self._passage.request
        if reply.status == KEY_REFUSED:
            await self._key_refused(reply, ours)
        elif request is None:
            await self._raw(reply, ours, Learnt(free=True))
        elif request.stream and reply.status < 300 and _is_events(reply):
            await self._streamed(reply, ours, request, scanner)
        else:
            # What lists models and counts tokens says nothing of a model's.
            filters = scanner if request.route.operation in METERED else None
            return await self._whole(reply, ours, request, filters)
        return True

    async def _streamed(
        self, reply: http1.ReplyHead, ours: Ours, request: Request, scanner: OutputScanner | None
    ) -> None:
        why = readable.obstacle(reply.headers)
        if not why:
            await _Stream(self._passage, self._connection, self._ends, request, scanner).pass_on(reply, ours)
        elif self._withheld(why, scanner):
            self._ends.settle(Learnt(), reply.status)
        else:
            await self._raw(reply, ours, Learnt())

    async def _whole(self, reply: http1.ReplyHead, ours: Ours, request: Request, scanner: OutputScanner | None) -> bool:
        body = await self._read()
        answer = _understood(reply, request, body, strict=scanner is not None)
        cost = self._ends.settle(_learnt(request, reply.status, answer), reply.status)
        if reply.status in RETRIED and self._ends.may_retry:
            return False
        if answer.unread and self._is_unread(answer, request, scanner):
            return True
        if scanner is not None and (answer.texts or answer.derived):
            filtered = self._filter(scanner, answer)
            if filtered is None:
                return True
            body, ours = filtered, self._ends.ours()
        if reply.status < 400:
            ours = headers.with_cost(ours, cost)
        self._passage.status = reply.status
        self._passage.exchange.respond(reply.status, headers.downstream(reply, ours), body, reply.reason)
        return True

    async def _key_refused(self, reply: http1.ReplyHead, ours: Ours) -> None:
        """Say whose business it is; the provider's words show a part of the key to who does not have it."""
        body = await self._read()
        self._ends.settle(Learnt(free=True), reply.status)
        decision = self._passage.decision
        assert decision is not None
        assert decision.provider is not None
        said = key_errors.with_message(body, refusals.key_refused(decision.provider.id).message)
        plain = msgspec.structs.replace(
            reply, headers=(*readable.without(reply.headers), (b"content-type", b"application/json"))
        )
        self._passage.status = reply.status
        self._passage.exchange.respond(reply.status, headers.downstream(plain, ours), said, reply.reason)

    def _is_unread(self, answer: Answer, request: Request, scanner: OutputScanner | None) -> bool:
        """Whether an answer that cannot be read is withheld. That an error or a list cannot matters only to filters."""
        if scanner is None and not (answer.produced and request.route.operation in METERED):
            return False
        return self._withheld(answer.unread, scanner)

    def _withheld(self, why: str, scanner: OutputScanner | None) -> bool:
        guard = scanner.guard if scanner is not None else None
        self._ends.unread(why, guard)
        if guard is not None:
            self._ends.withhold(refusals.answer_unread(guard, why))
        return guard is not None

    def _filter(self, scanner: OutputScanner, answer: Answer) -> bytes | None:
        scan = scanner.scan_answer(answer.texts)
        self._ends.found(scan.violations)
        if scan.refusal is not None:
            self._ends.withhold(scan.refusal)
            return None
        edits = {edit.path: edit.text for edit in scan.edits}
        return frames.rewrite_answer(answer, edits, bare=scanner.guard is not None)

    async def _raw(self, reply: http1.ReplyHead, ours: Ours, learnt: Learnt) -> None:
        """An unmetered route, or a stream that nobody can or has to read: nothing is held back."""
        exchange = self._passage.exchange
        exchange.begin(reply.status, headers.downstream(reply, ours), reply.reason)
        self._passage.status = reply.status
        while piece := await self._connection.read():
            exchange.write(piece)
            await exchange.drained()
        self._ends.settle(learnt, reply.status)
        exchange.end()

    async def _read(self) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := await self._connection.read():
            pieces.append(piece)
            size += len(piece)
            if size > self._most:
                raise UpstreamError(Cause.AMBIGUOUS, f"its answer is longer than {self._most} bytes")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Stream:
    """One streamed answer."""

    def __init__(
        self, passage: Passage, connection: Connection, ends: Ends, request: Request, scanner: OutputScanner | None
    ) -> None:
        self._passage = passage
        self._exchange = passage.exchange
        self._connection = connection
        self._ends = ends
        self._request = request
        self._reader = formats.stream_reader(request, strict=scanner is not None)
        self._filter = StreamFilter(scanner) if scanner is not None else None
        self._guard = scanner.guard if scanner is not None else None
        self._unread = ""
        self._usage: Usage | None = None
        self._produced = False
        self._complete = False
        self._settled = False
        self._cut = False
        self._status = 0

    async def pass_on(self, reply: http1.ReplyHead, ours: Ours) -> None:
        """All of it, to the end or to where a filter cuts it; then still to its end, to learn the usage."""
        self._status = self._passage.status = reply.status
        self._exchange.begin(reply.status, headers.downstream(reply, ours), reply.reason)
        try:
            while piece := await self._connection.read():
                self._send(self._reader.feed(piece))
                await self._exchange.drained()
            self._send(self._reader.end())
        except sse.StreamError as error:
            raise UpstreamError(Cause.AMBIGUOUS, str(error)) from error
        finally:
            self._settle_once()
        self._end()

    def _send(self, found: list[Frame]) -> None:
        violations: list[Violation] = []
        out = b"".join([self._one(frame, violations) for frame in found])
        if violations:
            self._ends.found(tuple(violations))
        if self._cut:
            return
        if self._filter is not None and self._filter.refusal is not None:
            self._cut_off(out)
        else:
            self._exchange.write(out)

    def _one(self, frame: Frame, violations: list[Violation]) -> bytes:
        """The bytes to send for a frame. A stream is paid for before its end is passed on."""
        self._usage = frame.usage or self._usage
        self._produced = self._produced or bool(frame.deltas)
        self._complete = self._complete or frame.terminal
        self._unread = self._unread or frame.unread
        if self._complete and self._usage is not None:
            self._settle_once()
        if frame.hidden or self._cut:
            return b""
        if self._filter is None:
            return frame.raw
        return b"" if self._filter.refusal is not None else self._filter.pass_on(frame, violations)

    def _cut_off(self, last: bytes) -> None:
        assert self._filter is not None
        assert self._filter.refusal is not None
        if self._filter.unread:
            self._unread = self._filter.unread
            self._ends.unread(self._unread, self._guard)
        route = self._request.route
        event = shapes.render_in_stream(route.format, route.operation, self._filter.refusal, self._passage.request_id)
        self._exchange.write(last + event)
        self._exchange.end()
        self._cut = True
        self._ends.leave()

    def _end(self) -> None:
        if self._cut:
            return
        if self._filter is not None:
            violations: list[Violation] = []
            self._exchange.write(self._filter.end(violations))
            self._ends.found(tuple(violations))
            if self._filter.refusal is not None:
                self._cut_off(b"")
                return
        self._exchange.end()

    def _settle_once(self) -> None:
        """Usage that came before a cut is not the whole: only a stream that ended has said it all."""
        if not self._settled:
            self._settled = True
            if self._unread and self._guard is None and not (self._complete and self._usage):
                self._ends.unread(self._unread, None)
            usage = self._usage if self._complete else None
            unreported = self._complete and not (usage or self._unread)
            self._ends.settle(Learnt(usage, unreported=unreported, produced=self._produced), self._status)


def _understood(reply: http1.ReplyHead, request: Request, body: bytes, *, strict: bool) -> Answer:
    why = readable.obstacle(reply.headers)
    if why:
        return Answer(body, (), None, produced=reply.status < 400, unread=why)
    return formats.parse_answer(request.route, reply.status, body, strict=strict)


def _learnt(request: Request, status: int, answer: Answer) -> Learnt:
    if status >= 400:
        return Learnt(free=status not in _BAD_GATEWAYS or _is_providers_own(answer.body))
    if request.route.operation not in METERED:
        return Learnt(free=True)
    produced = request.route.operation is Operation.EMBEDDINGS or any(_is_said(text) for text in answer.texts)
    return Learnt(answer.usage, unreported=answer.usage is None and not answer.unread, produced=produced)


def _is_said(text: Text) -> bool:
    return text.role is TextRole.OUTPUT and bool(text.text)


def _is_providers_own(body: bytes) -> bool:
    """Whether an error answer is the provider's: a gateway's in front of it says nothing about the work done."""
    try:
        parsed = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return False
    return isinstance(parsed, dict) and isinstance(parsed.get("error"), dict)


def _is_events(reply: http1.ReplyHead) -> bool:
    kind = http1.header(reply.headers, b"content-type") or b""
    return kind.split(b";")[0].strip().lower() == b"text/event-stream"


def failed(error: UpstreamError) -> Refusal:
    """What a client is told of an answer that never came."""
    if isinstance(error, RedirectedError):
        return refusals.upstream_failed(error.words, None)
    return refusals.upstream_failed(error.words)
