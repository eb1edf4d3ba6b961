"""One sliding window: how much was admitted when, and when there is room for more.

Exact for limits up to `EXACT`: never more than the limit within any half-open interval `(x - length, x]`, reservations
for throttled requests included. Above it, times are rounded up to a thousandth of the window, so that a window takes a
bounded space: it may hold requests back by that much too long, and never lets one too many through.
"""

import array
import bisect

from llmgov.instants import Duration, Instant

EXACT = 1024
"""The largest limit whose admissions are remembered one by one."""

_GRAINS = 1000


class Window:
    """Admissions in order of time. Nothing in here knows the limit for long: a policy may change it at any moment."""

    __slots__ = ("_amounts", "_times", "total")

    def __init__(self) -> None:
        self._times = array.array("q")
        self._amounts = array.array("q")
        self.total = 0

    def slot(self, amount: int, limit: int, length: Duration, now: Instant) -> Instant | None:
        """The earliest instant, not before `now`, at which `amount` more fits; `None` if it never does."""
        if self._times and self._times[0] <= now - length:
            self._forget(now - length)
        excess = self.total + amount - limit
        if excess <= 0:
            return now
        if amount > limit:
            return None
        for time, count in zip(self._times, self._amounts, strict=True):
            excess -= count
            if excess <= 0:
                return max(now, time + length)
        raise AssertionError("the amounts of a window sum up to its total")

    def add(self, amount: int, at: Instant, limit: int, length: Duration) -> Instant:
        """Admit `amount` at a `slot`; returns the time it is kept under, for `take`."""
        grain = 1 if limit <= EXACT else max(1, length // _GRAINS)
        kept = -(-at // grain) * grain
        self.total += amount
        if not self._times or self._times[-1] < kept:  # nearly always
            self._times.append(kept)
            self._amounts.append(amount)
            return kept
        index = bisect.bisect_left(self._times, kept)
        if self._times[index] == kept:
            self._amounts[index] += amount
        else:
            self._times.insert(index, kept)
            self._amounts.insert(index, amount)
        return kept

    def take(self, amount: int, kept: Instant) -> None:
        """Give back what was admitted and not used, unless it is forgotten already."""
        index = bisect.bisect_left(self._times, kept)
        if index == len(self._times) or self._times[index] != kept:
            return
        taken = min(amount, self._amounts[index])
        self._amounts[index] -= taken
        self.total -= taken
        if not self._amounts[index]:
            del self._times[index], self._amounts[index]

    def idle(self, length: Duration, now: Instant) -> Duration:
        """How long until all that was admitted has left the window."""
        return max(0, self._times[-1] + length - now) if self._times else 0

    def __len__(self) -> int:
        return len(self._times)

    def _forget(self, until: Instant) -> None:
        index = bisect.bisect_right(self._times, until)
        if index:
            self.total -= sum(self._amounts[:index])
            del self._times[:index], self._amounts[:index]
