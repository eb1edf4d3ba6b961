"""What OpenAI reports as used, by the dimensions it is billed in."""

from collections.abc import Mapping
from typing import Any

from llmgov.snapshot import Dimension
from llmgov.wire import reports
from llmgov.wire.events import Usage

_CHAT_KNOWN = frozenset(
    {
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details.audio_tokens",
        "prompt_tokens_details.cache_write_tokens",
        "prompt_tokens_details.cached_tokens",
        "prompt_tokens_details.image_tokens",
        "prompt_tokens_details.text_tokens",
        "completion_tokens_details.accepted_prediction_tokens",
        "completion_tokens_details.audio_tokens",
        "completion_tokens_details.reasoning_tokens",
        "completion_tokens_details.rejected_prediction_tokens",
        "completion_tokens_details.text_tokens",
        "prompt_cache_hit_tokens",
        "prompt_cache_miss_tokens",
    }
)
"""Counted below, or parts of what is. The last two are a compatible server's names for what `cached_tokens` says."""

_RESPONSES_KNOWN = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "input_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens_details.ttl_12h_tokens",
        "input_tokens_details.cache_write_tokens_details.ttl_30m_tokens",
        "input_tokens_details.cached_tokens",
        "output_tokens_details.reasoning_tokens",
    }
)

_UNPRICED_CALLS = frozenset({"code_interpreter_call", "image_generation_call", "shell_call", "program"})


def of_chat(body: Mapping[str, Any]) -> Usage | None:
    """The usage of a chat completion or one of its chunks; `None` where it reports none."""
    report = body.get("usage")
    if report is None:
        return None
    return _of_chat(body, report, produces_output=True)


def of_embeddings(body: Mapping[str, Any]) -> Usage | None:
    """The usage of embeddings, which have no output to count; `None` where they report none."""
    report = body.get("usage")
    if report is None:
        return None
    return _of_chat(body, report, produces_output=False)


def _of_chat(body: Mapping[str, Any], report: Any, *, produces_output: bool) -> Usage:
    if not isinstance(report, dict):
        return Usage({}, unreadable=("usage",))
    read = reports.Reader()
    prompt = read.section(report, "prompt_tokens_details")
    completion = read.section(report, "completion_tokens_details")
    audio = read.number(completion, "audio_tokens") if completion else 0
    total = read.needed(report, "prompt_tokens")
    counts = (
        _input(
            total=total,
            cached=read.number(prompt, "cached_tokens"),
            written=read.number(prompt, "cache_write_tokens"),
            audio=read.number(prompt, "audio_tokens"),
        )
        if prompt
        else {Dimension.INPUT: total}
    )
    made = (read.needed if produces_output else read.number)(report, "completion_tokens")
    _check_input(read, total, counts)
    if completion:
        made += _beside(report, total, made, read.number(completion, "reasoning_tokens"), read)
        read.parts(made, audio_tokens=audio)
    counts[Dimension.OUTPUT] = max(0, made - audio)
    counts[Dimension.OUTPUT_AUDIO] = audio
    return _usage(body, counts, reports.unknown(report, _CHAT_KNOWN), read)


def of_response(response: Mapping[str, Any]) -> Usage | None:
    """The usage of a response of the Responses API; calls of hosted tools are counted from its output."""
    report = response.get("usage")
    if report is None:
        return None
    if not isinstance(report, dict):
        return Usage({}, unreadable=("usage",))
    read = reports.Reader()
    details = read.section(report, "input_tokens_details")
    lifetimes = read.section(details, "cache_write_tokens_details")
    total = read.needed(report, "input_tokens")
    counts = _input(
        total=total,
        cached=read.number(details, "cached_tokens"),
        written=read.number(details, "cache_write_tokens"),
        written_12h=read.number(lifetimes, "ttl_12h_tokens"),
    )
    _check_input(read, total, counts)
    made = counts[Dimension.OUTPUT] = read.needed(report, "output_tokens")
    read.parts(made, reasoning_tokens=read.number(read.section(report, "output_tokens_details"), "reasoning_tokens"))
    counts[Dimension.WEB_SEARCH_CALL] = _searches(response, read)
    counts[Dimension.FILE_SEARCH_CALL] = _item_types(response).count("file_search_call")
    hosted = tuple(sorted(_UNPRICED_CALLS.intersection(_item_types(response))))
    return _usage(response, counts, reports.unknown(report, _RESPONSES_KNOWN) + hosted, read)


def _check_input(read: reports.Reader, total: int, counts: Mapping[Dimension, int]) -> None:
    """What was read from a cache and what was written to it are different parts of the input; audio may be in both."""
    cached = counts.get(Dimension.CACHED_INPUT, 0)
    written = counts.get(Dimension.CACHE_WRITE_30M, 0) + counts.get(Dimension.CACHE_WRITE_12H, 0)
    read.parts(
        total,
        cached_tokens=cached,
        cache_write_tokens=cached + written if written else 0,
        audio_tokens=counts.get(Dimension.INPUT_AUDIO, 0),
    )


def _beside(report: Mapping[str, Any], total: int, made: int, reasoning: int, read: reports.Reader) -> int:
    """Reasoning that is not in the output: some compatible servers count it beside, and only their sum of all says so.
    Elsewhere it is a part of the output."""
    if reasoning and report.get("total_tokens") == total + made + reasoning:
        return reasoning
    read.parts(made, reasoning_tokens=reasoning)
    return 0


def _searches(response: Mapping[str, Any], read: reports.Reader) -> int:
    """The billable ones, where they are reported; else every call, of which opening a page is free."""
    report = read.section(read.section(response, "tool_usage"), "web_search")
    if "num_requests" in report:
        return read.needed(report, "num_requests")
    return _item_types(response).count("web_search_call")


def _input(*, total: int, cached: int, written: int, audio: int = 0, written_12h: int = 0) -> dict[Dimension, int]:
    written_12h = min(written_12h, written)
    return {
        Dimension.INPUT: max(0, total - cached - written - audio),
        Dimension.CACHED_INPUT: cached,
        Dimension.CACHE_WRITE_30M: written - written_12h,
        Dimension.CACHE_WRITE_12H: written_12h,
        Dimension.INPUT_AUDIO: audio,
    }


def _item_types(response: Mapping[str, Any]) -> list[str]:
    output = response.get("output")
    items = output if isinstance(output, list) else []
    return [str(item.get("type")) for item in items if isinstance(item, dict)]


def _usage(
    body: Mapping[str, Any], counts: dict[Dimension, int], unpriced: tuple[str, ...], read: reports.Reader
) -> Usage:
    tier, model = body.get("service_tier"), body.get("model")
    return Usage(
        counts={dimension: count for dimension, count in counts.items() if count},
        service_tier=tier if isinstance(tier, str) else None,
        model=model if isinstance(model, str) else None,
        unpriced=unpriced,
        unreadable=read.unreadable,
        implausible=read.implausible,
    )
