"""What Anthropic reports as used, by the dimensions it is billed in."""

from collections.abc import Mapping
from typing import Any

from llmgov.snapshot import Dimension
from llmgov.wire import reports
from llmgov.wire.events import Usage

_KNOWN = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation.ephemeral_1h_input_tokens",
        "cache_creation.ephemeral_5m_input_tokens",
        "output_tokens_details.thinking_tokens",
        "server_tool_use.web_search_requests",
        "server_tool_use.web_fetch_requests",
    }
)
"""Counted below, parts of what is, or free: a web fetch costs no more than the tokens it brings."""


def of_report(report: Any, model: str | None = None) -> Usage:
    """The usage of one answer; in a stream the largest value of each of its numbers so far."""
    if not isinstance(report, dict):
        return Usage({}, model=model, unreadable=("usage",))
    read = reports.Reader()
    written = read.number(report, "cache_creation_input_tokens")
    hour = _hour_writes(read.section(report, "cache_creation"), written, read)
    searches = read.number(read.section(report, "server_tool_use"), "web_search_requests")
    made = read.needed(report, "output_tokens")
    read.parts(made, thinking_tokens=read.number(read.section(report, "output_tokens_details"), "thinking_tokens"))
    counts = {
        Dimension.INPUT: read.needed(report, "input_tokens"),
        Dimension.CACHED_INPUT: read.number(report, "cache_read_input_tokens"),
        Dimension.CACHE_WRITE_5M: max(0, written - hour),
        Dimension.CACHE_WRITE_1H: hour,
        Dimension.OUTPUT: made,
        Dimension.WEB_SEARCH_CALL: searches,
    }
    return Usage(
        counts={dimension: count for dimension, count in counts.items() if count},
        service_tier=_tier(report),
        region=_word(report, "inference_geo"),
        model=model,
        unpriced=reports.unknown(report, _KNOWN) + _other_runs(report),
        unreadable=read.unreadable,
        implausible=read.implausible,
    )


def _hour_writes(breakdown: Mapping[str, Any], written: int, read: reports.Reader) -> int:
    """Of all writes those for an hour. A stream repeats only the total: what it has grown by beyond the breakdown is
    taken to be of the dearer kind, if that was used at all."""
    hour = read.number(breakdown, "ephemeral_1h_input_tokens")
    five_minutes = read.number(breakdown, "ephemeral_5m_input_tokens")
    return max(hour, written - five_minutes) if hour else 0


def _tier(report: Mapping[str, Any]) -> str | None:
    """Fast mode is a price of its own, whatever the tier."""
    speed = _word(report, "speed")
    return speed if speed not in (None, "standard") else _word(report, "service_tier")


def _other_runs(report: Mapping[str, Any]) -> tuple[str, ...]:
    """Runs of a model that the totals do not include, such as compaction."""
    runs = report.get("iterations")
    kinds = {str(run.get("type")) for run in runs if isinstance(run, dict)} if isinstance(runs, list) else set()
    return tuple(sorted(f"iterations.{kind}" for kind in kinds - {"message"}))


def _word(report: Mapping[str, Any], name: str) -> str | None:
    value = report.get(name)
    return value if isinstance(value, str) else None
