"""Metrics, logs, settings: the small parts, without sockets."""

import io
import json
import re

import pytest

from llmgov.policy.decision import Action
from llmgov.wire.events import Format
from llmgov_sidecar import headers, http1, logs, metrics, settings
from llmgov_sidecar.stopped import Stopped

PROMISED = {
    "port": 4010,
    "admin_port": 4011,
    "host": "127.0.0.1",
    "body_bytes": 32 * 1024 * 1024,
    "connections": 1024,
    "lease_seconds": 10.0,
    "strict_seconds": 2.0,
    "drain_seconds": 25.0,
    "learn_seconds": 30.0,
    "first_byte_seconds": 600.0,
}


def test_the_promised_defaults() -> None:
    defaults = settings.Settings()
    assert {name: getattr(defaults, name) for name in PROMISED} == PROMISED


def test_settings_come_from_the_environment() -> None:
    given = settings.from_environment(
        {"LLMGOV_PORT": "5", "LLMGOV_LEASE_SECONDS": "0.5", "HOME": "/x", "LLMGOV_VOLUME": "/v"}
    )
    assert (given.port, given.lease_seconds, str(given.volume)) == (5, 0.5, "/v")


@pytest.mark.parametrize("wrong", [{"LLMGOV_PROT": "1"}, {"LLMGOV_PORT": "x"}])
def test_a_wrong_setting_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(settings.SettingsError, match="LLMGOV_"):
        settings.from_environment(wrong)


def test_the_sidecar_has_the_guides_names() -> None:
    text = metrics.Metrics().render().decode()
    for name in (
        "http_requests_total",
        "http_request_duration_seconds",
        "http_requests_in_flight",
        "http_response_size_bytes",
        "llm_requests_total",
        "llm_request_cost_usd",
        "policy_evaluations_total",
        "policy_violations_total",
    ):
        assert f"# TYPE {name} " in text


def test_labels_are_bounded_whatever_clients_name() -> None:
    counter = metrics.Counter("c", "text", ("model", "fixed"))
    for number in range(5000):
        counter.add(f"model-{number}", "x")
    lines = list(counter.lines())
    assert len(lines) == 2 + metrics.MOST_VALUES + 1
    assert f'c{{model="other",fixed="x"}} {5000 - metrics.MOST_VALUES}' in lines


def test_labels_are_escaped() -> None:
    counter = metrics.Counter("c", "text", ("model",))
    counter.add('a"b\\c\nd')
    assert list(counter.lines())[-1] == 'c{model="a\\"b\\\\c\\nd"} 1'


def test_a_histogram_counts_what_is_at_most_a_bound() -> None:
    histogram = metrics.Histogram("h", "text", (), (10, 20), 10)
    for value in (5, 10, 11, 25):
        histogram.observe(value)
    assert list(histogram.lines())[2:] == [
        'h_bucket{le="1"} 2',
        'h_bucket{le="2"} 3',
        'h_bucket{le="+Inf"} 4',
        "h_sum 5.1",
        "h_count 4",
    ]


def test_a_log_line_is_json_with_its_time_and_no_text_of_a_bug() -> None:
    stream = io.BytesIO()
    log = logs.Log(stream, lambda: 1_700_000_000_000_000, process="sidecar")
    log.info("request", request_id="r", status=200)
    try:
        raise ValueError("contains a prompt")
    except ValueError as error:
        log.failure("here", error)
    log.flush()
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first == {
        "time": "2023-11-14T22:13:20Z",
        "level": "info",
        "event": "request",
        "process": "sidecar",
        "request_id": "r",
        "status": 200,
    }
    assert second["error"] == "ValueError"
    assert re.fullmatch(r"test_small_parts\.py:\d+", second["at"])
    assert "prompt" not in json.dumps(second)


def test_a_model_stays_stopped_until_the_hub_has_listed_it_and_lists_it_no_more() -> None:
    stopped = Stopped()
    stopped.add("openai/a")
    stopped.list(())
    assert stopped.names == {"openai/a"}
    stopped.list(("openai/a", "openai/b"))
    assert stopped.names == {"openai/a", "openai/b"}
    stopped.list(("openai/b",))
    assert stopped.names == {"openai/b"}
    stopped.add("openai/a")
    assert stopped.names == {"openai/a", "openai/b"}


def test_a_rate_limit_of_ours_stands_alone_and_the_providers_stay_where_we_have_none() -> None:
    theirs = ((b"x-ratelimit-limit-requests", b"5000"), (b"x-ratelimit-limit-tokens", b"90000"))
    reply = http1.ReplyHead(status=200, reason="OK", headers=theirs, length=0, until_close=False, keep_alive=True)
    rate = (("x-ratelimit-limit-requests", "5"),)
    sent = headers.downstream(reply, headers.about(Format.OPENAI, "r", Action.ALLOW, None, None, rate))
    ours = b"x-request-id: r\r\nx-llmgov-decision: allow\r\nx-ratelimit-limit-requests: 5\r\n"
    assert sent == b"x-ratelimit-limit-tokens: 90000\r\n" + ours
