"""The admin port: what it answers, and with which reason."""

import asyncio

import aiohttp
import pytest

from llmgov_operator import metrics, probes


async def _ask(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    ("reason", "answer"),
    [(None, (200, "ok\n")), ("not listed yet: teams", (503, "not listed yet: teams\n"))],
    ids=["nothing is wrong", "something is, and it is said"],
)
def test_probes_say_what_is_wrong(reason: str | None, answer: tuple[int, str]) -> None:
    async def ask() -> None:
        made = metrics.metrics()
        async with probes.serving("127.0.0.1", 0, lambda: reason, lambda: None, made.rendered) as port:
            assert await _ask(port, "/livez") == answer
            assert await _ask(port, "/readyz") == (200, "ok\n")
            assert (await _ask(port, "/other"))[0] == 404

    asyncio.run(ask())


def test_metrics_are_in_the_text_format_with_the_names_that_are_documented() -> None:
    async def ask() -> str:
        made = metrics.metrics()
        made.rounds.labels("done").inc()
        async with probes.serving("127.0.0.1", 0, lambda: None, lambda: None, made.rendered) as port:
            return (await _ask(port, "/metrics"))[1]

    text = asyncio.run(ask())
    assert 'llmgov_operator_reconciles_total{outcome="done"} 1.0' in text
    assert "# TYPE llmgov_operator_queue_age_seconds gauge" in text
