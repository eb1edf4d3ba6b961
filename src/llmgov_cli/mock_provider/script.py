"""What a request asks of the mock: the `mock:` lines of its last user text, as data. Pure."""

import enum
import re
from typing import Any

import msgspec


class Fault(enum.Enum):
    """How an answer goes wrong on its way."""

    RESET = "reset"
    """The connection is reset before any byte of the answer."""
    HANG = "hang"
    """No answer, ever."""
    BAD_GATEWAY = "bad-gateway"
    """A 502 in HTML, as proxies in front of providers send it."""
    REDIRECT = "redirect"
    """A 307 to another host."""
    MALFORMED = "malformed"
    """Bytes that are no JSON, or no event stream."""
    CUT = "cut"
    """The connection ends in the middle of the body."""
    SLOW = "slow"
    """The body a byte at a time."""
    ERROR_EVENT = "error-event"
    """A stream that ends with the provider's own error event; a whole answer becomes a 500."""


class Call(msgspec.Struct, frozen=True):
    """A tool call to make; `arguments` is JSON text."""

    name: str
    arguments: str


class Plan(msgspec.Struct, frozen=True):
    """What to do with one request. Times are in seconds; `None` is what a real model would do on its own."""

    say: str | None = None
    echo: bool = False
    call: Call | None = None
    think: str | None = None
    refuse: bool = False
    spend_max: bool = False
    cached: int = 0
    tier: str | None = None
    delay: float = 0.0
    pace: float = 0.0
    status: int | None = None
    fault: Fault | None = None


class ScriptError(ValueError):
    """A `mock:` line that is none; the mock answers 400 and says so."""


_LINE = re.compile(r"^[ \t]*mock:[ \t]*(.*)$", re.MULTILINE)
_TIME = re.compile(r"([0-9]+)(ms|s)")
STATUSES = frozenset({400, 401, 403, 404, 429, 500, 503, 529})


def parse(text: str) -> Plan:
    """The plan of a user text; without `mock:` lines the plan of any text.

    Raises:
        ScriptError: a line says nothing that the mock knows.
    """
    plan: dict[str, Any] = {}
    for match in _LINE.finditer(text):
        word, _, rest = match[1].strip().partition(" ")
        if word == "say":
            plan["say"] = text[match.start(1) :].strip().removeprefix("say").lstrip(" ")
            break
        plan |= _line(word, rest.strip())
    return Plan(**plan)


def parse_lines(lines: str) -> Plan:
    """The plan of lines without `mock:` before them."""
    return parse("\n".join(f"mock: {line}" for line in lines.splitlines() if line.strip()))


def _line(word: str, rest: str) -> dict[str, Any]:
    match word, rest:
        case "echo", "":
            return {"echo": True}
        case "refuse", "":
            return {"refuse": True}
        case "spend", "max":
            return {"spend_max": True}
        case "call", rest if rest:
            name, _, arguments = rest.partition(" ")
            return {"call": Call(name, arguments.strip() or "{}")}
        case "think", rest if rest:
            return {"think": rest}
        case "cached", rest if rest.isdecimal():
            return {"cached": int(rest)}
        case "tier", rest if rest:
            return {"tier": rest}
        case (("delay" | "pace"), rest) if _TIME.fullmatch(rest):
            return {word: _seconds(rest)}
        case "status", rest if rest.isdecimal() and int(rest) in STATUSES:
            return {"status": int(rest)}
        case "fault", rest if rest in {fault.value for fault in Fault}:
            return {"fault": Fault(rest)}
        case _:
            raise ScriptError(f"the mock does not know `mock: {word} {rest}`")


def _seconds(text: str) -> float:
    number, unit = _TIME.fullmatch(text).groups()  # type: ignore[union-attr]  # matched by the caller
    return int(number) / (1000 if unit == "ms" else 1)
