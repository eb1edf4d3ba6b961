"""Headers on their way through: rebuilt for the provider, filtered for the client, and ours added."""

import functools
from typing import Final

import msgspec

from llmgov import money
from llmgov.money import MicroUsd
from llmgov.policy.decision import Action, Clamp
from llmgov.wire import refusals as shapes
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
_NOT_DOWNSTREAM: Final = _HOP | {b"content-length", b"alt-svc"}
_REQUEST_IDS: Final = frozenset({b"x-request-id", b"request-id"})
_OURS: Final = b"x-llmgov-"
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


def upstream(method: str, target: Target, path: str, headers: tuple[Header, ...], strip: tuple[str, ...]) -> bytes:
    """The lines of a request to a provider, but for its body's length and the end of the head (`with_length`)."""
    dropped = _dropped(strip)
    if hop := http1.connection_tokens(headers):
        dropped |= hop
    kept = [(name, value) for name, value in headers if name not in dropped and not name.startswith(_OURS)]
    rebuilt = [(b"host", target.origin.authority), *kept, (b"accept-encoding", b"identity"), target.authorization]
    line = f"{method} {target.origin.path}{path} HTTP/1.1\r\n".encode("ascii")
    return line + http1.lines(rebuilt)


def with_length(lines: bytes, method: str, length: int) -> bytes:
    """The whole head, for a body of so many bytes."""
    if not length and method not in _WITH_BODY:
        return lines + b"\r\n"
    return b"%bcontent-length: %d\r\n\r\n" % (lines, length)


class Ours(msgspec.Struct, frozen=True):
    """Lines of ours for an answer, each with its end; `replaces` are names of the provider's that they stand in for."""

    lines: str
    replaces: frozenset[bytes] = frozenset()


def downstream(reply: http1.ReplyHead, ours: Ours) -> bytes:
    """The lines of an answer to a client. The provider's request id stays readable beside ours.

    A rate limit of ours takes the place of the provider's: with both, a client reads neither.
    """
    dropped = _NOT_DOWNSTREAM | ours.replaces if ours.replaces else _NOT_DOWNSTREAM
    if reply.hop:
        dropped |= reply.hop
    kept: list[bytes] = []
    ids: dict[bytes, bytes] = {}
    for field in reply.headers:
        name = field[0]
        if name in _REQUEST_IDS:
            ids.setdefault(*field)
        elif name not in dropped and not name.startswith(_OURS):
            kept.append(b"%b: %b\r\n" % field)
    theirs = ids.get(b"x-request-id") or ids.get(b"request-id")
    if theirs is not None:
        kept.append(b"x-llmgov-upstream-request-id: %b\r\n" % theirs)
    kept.append(ours.lines.encode("ascii"))
    return b"".join(kept)


def about(
    shape: Format,
    request_id: str,
    action: Action,
    policy: str | None,
    clamp: Clamp | None,
    rate: tuple[tuple[str, str], ...],
) -> Ours:
    """What an answer says about its decision."""
    lines = f"x-request-id: {request_id}\r\nx-llmgov-decision: {action.value}\r\n"
    if shape is Format.ANTHROPIC:
        lines += f"request-id: {request_id}\r\n"
    if policy is not None:
        lines += f"x-llmgov-policy: {shapes.visible(policy)}\r\n"
    if clamp is not None:
        lines += f"x-llmgov-clamped: {shapes.visible(clamp.field)}={clamp.value}\r\n"
    if not rate:
        return Ours(lines)
    lines += "".join([f"{name}: {value}\r\n" for name, value in rate])
    return Ours(lines, _replaced(tuple([name for name, _ in rate])))


def with_cost(ours: Ours, cost: MicroUsd) -> Ours:
    """The same, and what the answer cost."""
    return Ours(f"{ours.lines}x-llmgov-cost-usd: {money.format_amount(cost)}\r\n", ours.replaces)


@functools.lru_cache(maxsize=64)
def _replaced(names: tuple[str, ...]) -> frozenset[bytes]:
    return frozenset(name.encode("ascii") for name in names)


@functools.lru_cache(maxsize=64)
def _dropped(strip: tuple[str, ...]) -> frozenset[bytes]:
    return _NOT_UPSTREAM | {name.encode("latin-1") for name in strip}


def texts(headers: tuple[Header, ...]) -> list[tuple[str, str]]:
    """Headers as text, for who reads them in the core."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


def lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    """The lines of an answer of ours."""
    return http1.lines((name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers)
