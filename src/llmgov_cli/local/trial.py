"""A request to try, as a line of curl that works where it is pasted: one that the configuration in force lets through.

Which model a folder lets through nobody can tell by looking at its policies alone, so each candidate is decided as
`llmgov explain` would decide it, with nothing spent yet.
"""

import datetime
import itertools
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence

from llmgov import compiler, snapshot
from llmgov.wire.events import Operation
from llmgov_cli import bodies, cases, whatif

_KINDS = {
    "openai": Operation.CHAT_COMPLETIONS,
    "openai-compatible": Operation.CHAT_COMPLETIONS,
    "anthropic": Operation.MESSAGES,
}
"""What is asked of each kind of provider."""

_LINES = {
    Operation.CHAT_COMPLETIONS: ("/v1/chat/completions", ()),
    Operation.MESSAGES: ("/v1/messages", ("anthropic-version: 2023-06-01",)),
}
"""Where it is asked, and what headers the provider demands."""

_WELL_KNOWN = {
    "openai": ("gpt-4o-mini", "gpt-4o", "gpt-5-mini"),
    "anthropic": ("claude-haiku-4-5", "claude-sonnet-4-5"),
}
"""Cheap models that most accounts have; they are tried first."""

_MOST_TRIED = 40
"""Some milliseconds each."""

_OUTPUT = 50
"""Tokens of output at most; enough for a greeting."""


def line(compiled: compiler.Compiled, ports: Mapping[str, int]) -> str | None:
    """The line, for the first workload that has a request which passes; `None` where none is found.

    `ports` maps workloads (`namespace/serviceaccount`) to their sidecars' ports.
    """
    for workload, port in ports.items():
        for request in itertools.islice(_candidates(compiled, workload), _MOST_TRIED):
            if _passes(compiled, workload, request):
                return _curl(port, request)
    return None


def _candidates(compiled: compiler.Compiled, workload: str) -> Iterator[cases.Request]:
    namespace = workload.partition("/")[0]
    providers = (*compiled.namespaces[namespace].providers, *compiled.organization.providers)
    known = [provider for provider in providers if provider.kind in _KINDS]
    for kind, model in dict.fromkeys(_models(known, compiled.prices)):
        yield cases.Request(operation=_KINDS[kind], model=model, prompt="Say hello", max_tokens=_OUTPUT)


def _models(providers: Sequence[snapshot.Provider], prices: snapshot.PricePart) -> Iterator[tuple[str, str]]:
    """Kinds of providers and models of theirs: well-known ones, then named ones, then all that have a price."""
    here = {provider.kind for provider in providers}
    kinds = [kind for kind in _KINDS if kind in here]
    yield from ((kind, model) for kind in kinds for model in _WELL_KNOWN.get(kind, ()))
    for each in providers:
        yield from ((each.kind, model) for model in (*each.models, *(price.model for price in each.prices)))
    yield from ((price.provider, price.model) for price in prices.models if price.provider in kinds)


def _passes(compiled: compiler.Compiled, workload: str, request: cases.Request) -> bool:
    namespace, _, account = workload.partition("/")
    now = datetime.datetime.now(datetime.UTC).isoformat()
    situation = cases.Situation(request, cases.Principal(namespace, account), now)
    outcome = whatif.decide(compiled, situation)
    return outcome.refusal is None and outcome.wait is None


def _curl(port: int, request: cases.Request) -> str:
    """In words of a POSIX shell; loopback never goes through the proxy that a shell's environment may name."""
    path, demanded = _LINES[request.operation]
    headers = [word for header in ("content-type: application/json", *demanded) for word in ("-H", header)]
    body = json.dumps(bodies.write(request))
    return shlex.join(["curl", "-sS", "--noproxy", "*", f"http://127.0.0.1:{port}{path}", *headers, "-d", body])
