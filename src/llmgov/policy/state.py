"""What the engine remembers between requests: sliding windows, requests running, and who waits for their turn.

Everything is told what time it is. Memory is bounded: the windows that were unused for longest are forgotten first.
A request that counts somewhere holds a ticket, from its admission until `release` or `cancel`.
"""

import collections
import dataclasses
from collections.abc import Sequence

import msgspec

from llmgov.instants import Instant
from llmgov.policy.limits import Limit
from llmgov.policy.window import Window

MAX_WINDOWS = 8192
"""How many windows (one for each policy, limit and subject) are kept: more users than that at once lose the oldest."""


@dataclasses.dataclass(slots=True, frozen=True)
class Turn:
    """A queued request's turn: it may go at `at`, or, where that is `None`, it waited in vain and is refused."""

    ticket: str
    at: Instant | None


class _Ticket(msgspec.Struct):
    limits: Sequence[Limit]
    tokens: int
    deadline: Instant = 0
    admitted: bool = False
    kept: list[tuple[Limit, int, Instant]] = msgspec.field(default_factory=list)


class State:
    """One proxy's counters. All methods are exact for the instants they are given, which need not be the present."""

    def __init__(self, max_windows: int = MAX_WINDOWS) -> None:
        self._windows: collections.OrderedDict[str, Window] = collections.OrderedDict()
        self._max_windows = max_windows
        self._running: collections.Counter[str] = collections.Counter()
        self._tickets: dict[str, _Ticket] = {}
        self._queue: dict[str, _Ticket] = {}
        self._serial = 0

    def window(self, limit: Limit) -> Window:
        """The window that a limit counts in."""
        window = self._windows.get(limit.key)
        if window is None:
            window = self._windows[limit.key] = Window()
            if len(self._windows) > self._max_windows:
                self._windows.popitem(last=False)
        else:
            self._windows.move_to_end(limit.key)
        return window

    def windows(self, limits: Sequence[Limit]) -> list[Window | None]:
        """The windows that limits count in, `None` for requests at once."""
        return [self.window(limit) if limit.length else None for limit in limits]

    def slot(self, limit: Limit, tokens: int, now: Instant) -> Instant | None:
        """When a window has room for a request of so many tokens, `None` if it never has."""
        amount = tokens if limit.counts_tokens else 1
        return self.window(limit).slot(amount, limit.limit, limit.length, now)

    def full(self, limit: Limit) -> bool:
        """Whether as many requests run as a `concurrent` limit allows at once.

        Where there is room, nobody in line could use it: whoever can is let go as soon as a place is free.
        """
        return self._running[limit.key] >= limit.limit

    def admit(
        self, limits: Sequence[Limit], tokens: int, at: Instant, windows: Sequence[Window | None] | None = None
    ) -> str:
        """Count a request in all of `limits`, from `at` on; `at` must be no earlier than each `slot`.

        `windows` are those of the limits, where they were looked up a moment ago.
        """
        name, ticket = self._open(limits, tokens)
        self._count(ticket, at, self.windows(limits) if windows is None else windows)
        return name

    def enqueue(self, limits: Sequence[Limit], tokens: int, deadline: Instant) -> str:
        """Wait in line for a running request to end, no longer than until `deadline`."""
        name, ticket = self._open(limits, tokens)
        ticket.deadline = deadline
        self._queue[name] = ticket
        return name

    def release(self, keys: Sequence[str], tokens: int | None, now: Instant) -> tuple[Turn, ...]:
        """A request has ended, having taken `tokens` in all (`None`: not known, so what was estimated stands).

        Returns the turns of queued requests. A ticket that is not known any more is ignored.
        """
        for name in keys:
            ticket = self._close(name)
            if ticket is not None and tokens is not None:
                self._correct(ticket, tokens, now)
        return self._advance(now) if self._queue else ()

    def cancel(self, keys: Sequence[str], now: Instant) -> tuple[Turn, ...]:
        """A request was never dispatched (its client left, or another check refused it): nothing of it counts.

        Returns the turns of queued requests.
        """
        for name in keys:
            ticket = self._close(name)
            if ticket is not None:
                for limit, amount, kept in ticket.kept:
                    self._take(limit, amount, kept)
        return self._advance(now)

    def _open(self, limits: Sequence[Limit], tokens: int) -> tuple[str, _Ticket]:
        self._serial += 1
        name, ticket = str(self._serial), _Ticket(limits, tokens)
        self._tickets[name] = ticket
        return name, ticket

    def _count(self, ticket: _Ticket, at: Instant, windows: Sequence[Window | None]) -> None:
        ticket.admitted = True
        for limit, window in zip(ticket.limits, windows, strict=True):
            if window is None:
                self._running[limit.key] += 1
            elif amount := ticket.tokens if limit.counts_tokens else 1:
                most, length = limit.limit, limit.length
                start = at if limit.rule.acts else max(at, window.slot(amount, most, length, at) or at)
                ticket.kept.append((limit, amount, window.add(amount, start, most, length)))

    def _close(self, name: str) -> _Ticket | None:
        ticket = self._tickets.pop(name, None)
        self._queue.pop(name, None)
        if ticket is not None and ticket.admitted:
            for limit in ticket.limits:
                if not limit.length:
                    _subtract(self._running, limit.key)
        return ticket

    def _correct(self, ticket: _Ticket, tokens: int, now: Instant) -> None:
        for limit, amount, kept in ticket.kept:
            if not limit.counts_tokens:
                continue
            if tokens < amount:
                self._take(limit, amount - tokens, kept)
            elif tokens > amount:
                self.window(limit).add(tokens - amount, now, limit.limit, limit.length)

    def _take(self, limit: Limit, amount: int, kept: Instant) -> None:
        window = self._windows.get(limit.key)
        if window is not None:
            window.take(amount, kept)

    def _advance(self, now: Instant) -> tuple[Turn, ...]:
        """Let those go who can, in order of arrival."""
        turns: list[Turn] = []
        for name, ticket in tuple(self._queue.items()):
            if self._room(ticket):
                del self._queue[name]
                turns.append(Turn(name, self._try(name, ticket, now)))
        return tuple(turns)

    def _room(self, ticket: _Ticket) -> bool:
        return not any(self.full(limit) for limit in ticket.limits if not limit.length and limit.rule.acts)

    def _try(self, name: str, ticket: _Ticket, now: Instant) -> Instant | None:
        windows = (limit for limit in ticket.limits if limit.length and limit.rule.acts)
        slots = [self.slot(limit, ticket.tokens, now) for limit in windows]
        at = max((slot for slot in slots if slot is not None), default=now)
        if None in slots or at > ticket.deadline:
            del self._tickets[name]
            return None
        self._count(ticket, at, self.windows(ticket.limits))
        return at


def _subtract(counter: "collections.Counter[str]", key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
