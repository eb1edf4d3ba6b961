"""Plays calls through an official SDK in a process of its own, configured by environment variables only.

It is what applications are: it imports the SDK, knows nothing of us, and finds the proxy through the variables that
injection sets. One process plays all workloads that use an SDK (loading one takes a second), each with a client of its
own made under that workload's variables. `python -m llmgov_cli.player SDK` reads a JSON job a line, and answers with a
JSON line of results.
"""

import concurrent.futures
import importlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from llmgov_cli import traffic

_DECISIONS = {
    "redact": traffic.Outcome.REDACTED,
    "clamp": traffic.Outcome.CLAMPED,
    "throttle": traffic.Outcome.THROTTLED,
    "flag": traffic.Outcome.FLAGGED,
}
_TEXT_LIMIT = 4_000


class Job(msgspec.Struct, frozen=True):
    """One step as the parent sends it, with the variables of the container that it is played in."""

    environment: dict[str, str]
    call: str
    arguments: dict[str, Any]
    repeat: int
    concurrently: bool


def main() -> None:
    """Serve jobs until standard input ends."""
    sdk = importlib.import_module(sys.argv[1])
    clients: dict[str, Any] = {}
    print("ready", flush=True)
    for line in sys.stdin:
        job = msgspec.json.decode(line, type=Job)
        place = repr(job.environment)
        if place not in clients:
            os.environ.update(job.environment)
            clients[place] = sdk.OpenAI() if sys.argv[1] == "openai" else sdk.Anthropic()
        results = _play(sdk, clients[place], job)
        print(msgspec.json.encode(results).decode(), flush=True)


def _play(sdk: Any, client: Any, job: Job) -> list[traffic.Result]:
    workers = job.repeat if job.concurrently else 1
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda _: _timed_call(sdk, client, job), range(job.repeat)))


def _timed_call(sdk: Any, client: Any, job: Job) -> traffic.Result:
    began = time.monotonic()
    result = _call(sdk, client, job)
    return msgspec.structs.replace(result, seconds=time.monotonic() - began)


def _call(sdk: Any, client: Any, job: Job) -> traffic.Result:
    method = client
    *parents, name = job.call.split(".")
    for part in parents:
        method = getattr(method, part)
    try:
        raw = getattr(method.with_raw_response, name)(**job.arguments)
        answer = raw.parse()
    except sdk.APIStatusError as error:
        return _refused(error)
    except sdk.APIError as error:
        return _failed(error, "")
    text = ""
    try:
        for piece in _texts(answer, streamed=bool(job.arguments.get("stream"))):
            text += piece
    except sdk.APIError as error:
        return _cut(error, text)
    return _allowed(raw, text)


def _allowed(raw: Any, text: str) -> traffic.Result:
    decision = raw.headers.get("x-llmgov-decision", "allow")
    return traffic.Result(
        outcome=_DECISIONS.get(decision, traffic.Outcome.ALLOWED),
        status=raw.status_code,
        policy=raw.headers.get("x-llmgov-policy"),
        text=text[:_TEXT_LIMIT],
        clamped=raw.headers.get("x-llmgov-clamped"),
        cost=raw.headers.get("x-llmgov-cost-usd"),
    )


def _refused(error: Any) -> traffic.Result:
    decision = error.response.headers.get("x-llmgov-decision", "allow")
    ours = decision != "allow" and _message(error).startswith("llmgov:")
    return traffic.Result(
        outcome=traffic.Outcome.REFUSED if ours else traffic.Outcome.FAILED,
        status=error.status_code,
        code=_code(error),
        exception=type(error).__name__,
        policy=error.response.headers.get("x-llmgov-policy"),
        message=_message(error),
    )


def _cut(error: Any, text: str) -> traffic.Result:
    ours = "llmgov:" in str(error)
    failed = _failed(error, text)
    return msgspec.structs.replace(failed, outcome=traffic.Outcome.CUT) if ours else failed


def _failed(error: Any, text: str) -> traffic.Result:
    return traffic.Result(
        outcome=traffic.Outcome.FAILED,
        code=_code(error),
        exception=type(error).__name__,
        message=_message(error),
        text=text[:_TEXT_LIMIT],
    )


def _code(error: Any) -> str | None:
    code: Any = getattr(error, "code", None)
    if code is None and isinstance(getattr(error, "body", None), dict):
        code = (error.body.get("error") or {}).get("type")
    return code if isinstance(code, str) else None


def _message(error: Any) -> str:
    body: Any = getattr(error, "body", None)
    if isinstance(body, dict):
        inner = body["error"] if isinstance(body.get("error"), dict) else body
        if isinstance(inner.get("message"), str):
            return str(inner["message"])
    return str(getattr(error, "message", None) or error)


def _texts(answer: Any, *, streamed: bool) -> Iterator[str]:
    if streamed:
        yield from _streamed(answer)
    else:
        yield _whole(answer)


def _streamed(answer: Any) -> Iterator[str]:
    for event in answer:
        for choice in getattr(event, "choices", None) or ():
            yield choice.delta.content or ""
        delta = getattr(event, "delta", None)
        if isinstance(delta, str):
            yield delta
        elif delta is not None:
            yield getattr(delta, "text", None) or ""


def _whole(answer: Any) -> str:
    if getattr(answer, "choices", None):
        return "".join(choice.message.content or "" for choice in answer.choices)
    if hasattr(answer, "output_text"):
        return str(answer.output_text)
    if isinstance(getattr(answer, "content", None), list):
        return "".join(getattr(block, "text", "") for block in answer.content)
    return ""


if __name__ == "__main__":
    main()
