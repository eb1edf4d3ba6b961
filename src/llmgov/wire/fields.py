"""What the tables of a provider's fields are made of (design section 5, step 4): a row for every field there is.

A field has a `Kind`, which says how its strings are read, and at the top of a request a `Rule`, which says what bounds
its cost. Typed objects inside (message parts, items, tools) have a `Part` row by the value of their `type`, whose
`cost` adds to the facts. What has no row counts as unknown: it is scanned whole, and refused where costs are limited
(but for members of content parts, which the bytes of the body bound like all text).
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from llmgov.snapshot import Dimension
from llmgov.wire.events import Refused, Text, TextRole


class Kind(enum.Enum):
    """How a field's value is read."""

    CONTENT = "a string, or parts: each typed object by its own row"
    JSON = "free-form JSON: all its strings, the names of its members, long numbers"
    PROTECTED = "read like JSON, but never rewritten"
    CONTROL = "a word, number or id that steers the request and is no content"
    REFERENCE = "an id of content that the provider holds: adds context that nobody can see here"
    MEDIA = "an encoded image, sound or file: no text"
    URL = "an address, or media as a data URL"
    CACHE = "a cache breakpoint, whose time to live decides the price of writing"


class Rule(enum.Enum):
    """What bounds the cost of a top-level field."""

    TEXT = "its bytes are in the body"
    OUTPUT = "it is the output maximum"
    CHOICES = "it multiplies the output"
    TIER = "the dearest tier it can get"
    OPAQUE = "the context window"
    PREDICTION = "its bytes, billed as output too"
    CACHE = "the dearest cache write it can cause"
    TOOLS = "each tool's own row"
    FREE = "costs nothing, or nothing that other rows do not count"
    REFUSED = "nothing"


class Field(NamedTuple):
    """A row for the name of a member, wherever inside a request it stands."""

    kind: Kind
    role: TextRole | None = None


class Top(NamedTuple):
    """A row for a top-level field. `why` says what is unbounded where the rule is `REFUSED`."""

    rule: Rule
    kind: Kind
    role: TextRole | None = None
    why: str = ""


Object: TypeAlias = Mapping[str, Any]
Cost: TypeAlias = Callable[["Findings", Object, str], None]
"""What an object of one type adds to the facts: `(findings, object, path)`."""


class Part(NamedTuple):
    """A row for a typed object."""

    role: TextRole | None
    cost: Cost


class Findings:
    """What reading one request has found so far; the parsers turn it into `CostFacts`."""

    __slots__ = (
        "audio_tokens",
        "cache_writes",
        "calls",
        "images",
        "iterations",
        "media_bytes",
        "opaque",
        "overhead",
        "refused",
        "server_tools",
        "texts",
        "unknown",
    )

    def __init__(self) -> None:
        self.texts: list[Text] = []
        self.unknown: list[str] = []
        self.refused: list[Refused] = []
        self.server_tools: list[tuple[str, Dimension | None]] = []
        self.calls: dict[Dimension, int] = {}
        self.cache_writes: set[Dimension] = set()
        self.media_bytes = 0
        self.images = 0
        self.audio_tokens = 0
        self.overhead = 0
        self.iterations = 1
        self.opaque = False

    def refuse(self, path: str, why: str) -> None:
        """Nothing bounds the cost of what stands at `path`."""
        self.refused.append(Refused(path, why))


def text(_findings: Findings, _value: Object, _path: str) -> None:
    """Its bytes are in the body: nothing to add."""


def opaque(findings: Findings, _value: Object, _path: str) -> None:
    """It stands for content that the provider holds."""
    findings.opaque = True


def image(findings: Findings, _value: Object, _path: str) -> None:
    """One image, by the model's rule."""
    findings.images += 1


def overhead(tokens: int) -> Cost:
    """A client-side tool whose definition the provider writes: at most so many tokens of its own text."""

    def add(findings: Findings, _value: Object, _path: str) -> None:
        findings.overhead += tokens

    return add


def unbounded(why: str) -> Cost:
    """Nothing bounds it; `why` is a clause that names what is billed."""

    def refuse(findings: Findings, _value: Object, path: str) -> None:
        findings.refuse(path, why)

    return refuse
