"""Headers on their way through: rebuilt for the provider, filtered for the client, and ours added."""

import functools
from collections.abc import Iterable, Sequence
from typing import Final

from llmgov.policy.decision import Action, Clamp
from llmgov.wire.events import Format
from llmgov_sidecar import http1
from llmgov_sidecar.configuration import Target
from llmgov_sidecar.http1 import Header

_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_NOT_UPSTREAM: Final = _HOP | {
    b"host", b"content-length", b"expect", b"accept-encoding", b"proxy-authorization", b"cookie", b"http2-settings",
    # The credential decides who is billed, so a client does not choose among the key's organizations.
    b"openai-organization", b"openai-project",
}  # fmt: skip
_NOT_DOWNSTREAM: Final = _HOP | {b"content-length", b"alt-svc", b"x-request-id", b"request-id"}
_OURS: Final = b"x-llmgov-"
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


def upstream(method: str, target: Target, path: str, headers: tuple[Header, ...], strip: tuple[str, ...]) -> bytes:
    """The head of a request to a provider, but for its body's length (`with_length`)."""
    dropped = _dropped(strip)
    if hop := http1.connection_tokens(headers):
        dropped |= hop
    kept = [(name, value) for name, value in headers if name not in dropped and not name.startswith(_OURS)]
    rebuilt = [(b"host", target.origin.authority), *kept, (b"accept-encoding", b"identity"), target.authorization]
    line = f"{method} {target.origin.path}{path} HTTP/1.1".encode("ascii")
    return http1.write_head(line, rebuilt)


def with_length(head: bytes, method: str, length: int) -> bytes:
    """`head`, written without a length, for a body of so many bytes."""
    if not length and method not in _WITH_BODY:
        return head
    return b"%bcontent-length: %d\r\n\r\n" % (head[:-2], length)


def downstream(reply: http1.ReplyHead, ours: Sequence[Header]) -> tuple[Header, ...]:
    """The headers of an answer to a client. The provider's request id stays readable beside ours.

    A rate limit of ours takes the place of the provider's: with both, a client reads neither.
    """
    dropped = _NOT_DOWNSTREAM.union(name for name, _ in ours)
    if hop := http1.connection_tokens(reply.headers):
        dropped |= hop
    kept = [(name, value) for name, value in reply.headers if name not in dropped and not name.startswith(_OURS)]
    theirs = http1.header(reply.headers, b"x-request-id") or http1.header(reply.headers, b"request-id")
    if theirs is not None:
        kept.append((b"x-llmgov-upstream-request-id", theirs))
    return (*kept, *ours)


def about(
    shape: Format,
    request_id: str,
    action: Action,
    policy: str | None,
    clamp: Clamp | None,
    rate: Iterable[tuple[str, str]],
) -> list[Header]:
    """What an answer says about its decision."""
    ours = [("x-request-id", request_id), ("x-llmgov-decision", action.value)]
    if shape is Format.ANTHROPIC:
        ours.append(("request-id", request_id))
    if policy is not None:
        ours.append(("x-llmgov-policy", policy))
    if clamp is not None:
        ours.append(("x-llmgov-clamped", f"{clamp.field}={clamp.value}"))
    return [(name.encode("ascii"), _visible(value)) for name, value in (*ours, *rate)]


def _visible(value: str) -> bytes:
    if value.isascii() and value.isprintable():
        return value.encode()
    return "".join(character if " " <= character <= "~" else "?" for character in value).encode("ascii")


@functools.lru_cache(maxsize=64)
def _dropped(strip: tuple[str, ...]) -> frozenset[bytes]:
    return _NOT_UPSTREAM | {name.encode("latin-1") for name in strip}


def texts(headers: tuple[Header, ...]) -> list[tuple[str, str]]:
    """Headers as text, for who reads them in the core."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
