"""What every provider's format is parsed into: facts about a request, events of an answer. Data without behaviour.

A provider's module (`llmgov.wire.openai`, `llmgov.wire.anthropic`) turns bytes into these and edits back into bytes;
the engine, the prices and the proxy know only these. A `path` is a JSON path as messages show it
(`messages[0].content[1].text`), and names the same string for splicing.
"""

import enum
from typing import TypeAlias

import msgspec

from llmgov.snapshot import Dimension


class Struct(msgspec.Struct, frozen=True):
    """Base of the values here: immutable."""


class Format(enum.Enum):
    """In whose manner an endpoint speaks: decides the shape of refusals."""

    __hash__ = object.__hash__  # members are single; enum's own hash is Python code, and these are keys of hot tables

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Operation(enum.Enum):
    """What an endpoint does."""

    __hash__ = object.__hash__  # members are single; enum's own hash is Python code, and these are keys of hot tables

    CHAT_COMPLETIONS = "chat.completions"
    RESPONSES = "responses"
    EMBEDDINGS = "embeddings"
    OPENAI_MODELS = "openai.models"
    MESSAGES = "messages"
    COUNT_TOKENS = "messages.count_tokens"
    ANTHROPIC_MODELS = "anthropic.models"


METERED = frozenset({Operation.CHAT_COMPLETIONS, Operation.RESPONSES, Operation.EMBEDDINGS, Operation.MESSAGES})
"""Operations that cost money: the others are lists and counts that the provider gives away."""


class Route(Struct, frozen=True):
    """One request line understood. `upstream_path` is what follows the provider's base URL, with its query."""

    format: Format
    operation: Operation
    upstream_path: str


class TextRole(enum.Enum):
    """Where a string stands in the request; messages name it."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL_DEFINITION = "tool definition"
    TOOL_ARGUMENTS = "tool arguments"
    TOOL_RESULT = "tool result"
    FILE_NAME = "file name"
    METADATA = "metadata"
    UNKNOWN = "unknown part"
    OUTPUT = "output"
    PROTECTED = "protected"
    """Thinking, signatures, encrypted content, ids: never rewritten; a hit there blocks or flags."""


class Text(Struct, frozen=True):
    """One string that reaches the model (or comes back from it), and where it stands."""

    path: str
    text: str
    role: TextRole


class OutputLimit(Struct, frozen=True):
    """The request's output maximum: the field that the model takes it in, and the value, where the client set one."""

    field: str
    value: int | None = None


class Refused(Struct, frozen=True):
    """A billable field whose cost nothing bounds: the request is refused where costs are limited."""

    path: str
    why: str


class CostFacts(Struct, frozen=True):
    """All that the bound of a request's cost depends on (design section 5, step 4).

    `text_bytes` is an upper bound of the UTF-8 bytes of everything sent that becomes text tokens (the body's bytes less
    its media), `overhead_tokens` what framing adds at most, `images` how many images there are (what one costs is the
    model's rule, so the price's), `image_tokens` tokens of images where the provider has one rule for all models,
    `opaque_context` whether the provider may add context that the proxy can't see (then the context window bounds the
    input), `iterations` how often it may run the model at most, `calls` bounded server-tool calls by the dimension they
    are billed in, `choices` how many answers of the output maximum there may be, `extra_output_tokens` output that is
    billed beyond the output maximum (rejected predictions).
    """

    text_bytes: int
    overhead_tokens: int = 0
    images: int = 0
    image_tokens: int = 0
    audio_tokens: int = 0
    extra_output_tokens: int = 0
    choices: int = 1
    opaque_context: bool = False
    iterations: int = 1
    calls: dict[Dimension, int] = {}
    cache_writes: frozenset[Dimension] = frozenset()
    service_tier: str | None = None
    produces_output: bool = True
    refused: tuple[Refused, ...] = ()


class Request(Struct, frozen=True):
    """A request understood. `body` is what the client sent, byte for byte."""

    route: Route
    body: bytes
    model: str
    stream: bool
    texts: tuple[Text, ...]
    output_limit: OutputLimit | None
    cost: CostFacts
    user: str | None = None
    wants_usage: bool = True
    """Whether the client asked for the usage event of a stream (OpenAI chat's `include_usage`); it is hidden if not."""
    unknown_parts: tuple[str, ...] = ()


class Usage(Struct, frozen=True):
    """What the provider says it billed, by dimension; an input dimension excludes the others (cached is not input).

    `unpriced` names fields of the report that are billable and belong to no known dimension; `unreadable` and
    `implausible` counts that are missing or no counts, or larger than any can be: then what was billed is not known.
    """

    counts: dict[Dimension, int]
    service_tier: str | None = None
    region: str | None = None
    model: str | None = None
    unpriced: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    implausible: tuple[str, ...] = ()


class Reason(enum.Enum):
    """Why a request is refused: a row of the table in design section 5. The value is the machine's word for it."""

    RATE = "rate_limit_exceeded"
    BUDGET = "budget_exceeded"
    CONTENT = "content_policy_violation"
    DENIED = "policy_denied"
    APPROVAL = "approval_required"
    UNAVAILABLE = "governance_unavailable"
    TOO_LARGE = "request_too_large"
    MALFORMED = "invalid_request"
    TIMEOUT = "request_timeout"
    AUTHENTICATION = "invalid_token"
    UPSTREAM = "upstream_error"
    """No answer, or none that may be passed on, from the provider."""


class Refusal(Struct, frozen=True):
    """A refusal before it takes the provider's shape.

    `message` begins with `llmgov:`, names policy, pattern and path (never the matched value) and what to do;
    `retry_after` is whole seconds, `None` where a retry cannot help (then `x-should-retry: false`).
    """

    reason: Reason
    message: str
    policy: str | None = None
    retry_after: int | None = None
    param: str | None = None
    details: dict[str, str] = {}


class Response(Struct, frozen=True):
    """An HTTP answer of ours: what a refusal becomes."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Answer(Struct, frozen=True):
    """A whole, not streamed, answer of the provider understood; `body` is its bytes.

    `produced` is false for the provider's own error answers (they cost nothing). `derived` are the paths of values that
    repeat text in another form (log probabilities of its tokens), and go when it is changed. `unread` says why it could
    not be read, a clause; empty where it was: then `texts` is a guess that no filter may rely on.
    """

    body: bytes
    texts: tuple[Text, ...]
    usage: Usage | None
    produced: bool = True
    derived: tuple[str, ...] = ()
    unread: str = ""


class DeltaKind(enum.Enum):
    """What a piece of streamed text is part of."""

    TEXT = "text"
    TOOL_ARGUMENTS = "tool arguments"
    REFUSAL = "refusal"
    PROTECTED = "protected"


class Delta(Struct, frozen=True):
    """A piece of streamed text. `channel` names the string it continues (`choices[0].content`); `path` is inside the
    frame's JSON, for splicing."""

    channel: str
    text: str
    kind: DeltaKind
    path: str


class Frame(Struct, frozen=True):
    """One server-sent event: its exact bytes, and what it says.

    `usage` is the latest known total; `closes` are channels that get nothing more with or after this frame (held-back
    text must go out before it); `full` are whole texts that repeat what deltas said (Responses API `*.done` events, the
    final response); `hidden` frames were asked for by the proxy only and are not passed on; `terminal` says that the
    provider finished the stream as it should; `error` that the provider reported one; `derived` and `unread` as in an
    `Answer`; `again` is a frame in whose manner more of its deltas can be said, where that is not its own.
    """

    raw: bytes
    deltas: tuple[Delta, ...] = ()
    full: tuple[Text, ...] = ()
    usage: Usage | None = None
    closes: tuple[str, ...] = ()
    hidden: bool = False
    terminal: bool = False
    error: bool = False
    derived: tuple[str, ...] = ()
    unread: str = ""
    again: "Frame | None" = None


class ReplaceText(Struct, frozen=True):
    """Replace the string at `path` by `text`, leaving every other byte as it is."""

    path: str
    text: str


class SetNumber(Struct, frozen=True):
    """Set the number at `path` (a key of an object that exists), adding the key where it is missing."""

    path: str
    value: int


class SetTrue(Struct, frozen=True):
    """Set the key at `path` to true, adding it and its object where they are missing."""

    path: str


Edit: TypeAlias = ReplaceText | SetNumber | SetTrue
