"""Limits changed under traffic: a lower one holds within a second, whatever was lent before; a higher one frees."""

import contextlib
import pathlib
import threading
import time
from collections.abc import Callable, Iterator

import openai
import pytest

from llmgov import money
from tests.support import localmode

DEAR = "mock: spend max"
COST = 10_000
"""Micro-USD: 1,000 output tokens of gpt-4o; its few input tokens cost less than a tenth of that more."""

SECOND = 1.0

HIGH = """
apiVersion: llmgov.dev/v1alpha1
kind: Budget
metadata: {name: organization, namespace: llm-governance}
spec: {target: {organization: {}}, limit: "1000", period: Month}
"""
LOW = HIGH.replace('"1000"', '"0.05"')
BLOCKED_EARLY = HIGH.replace("period: Month", "period: Month, thresholds: [{percent: 1, actions: [Block]}]").replace(
    '"1000"', '"5"'
)
APPROVED_EARLY = BLOCKED_EARLY.replace("Block", "RequireApproval")
NONE = ""


def _ask(port: int) -> int | None:
    """Spend `COST` and a little; the status of a refusal."""
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="placeholder", max_retries=0) as client:
        try:
            client.chat.completions.create(
                model="gpt-4o", messages=[{"role": "user", "content": DEAR}], max_completion_tokens=1000
            )
        except openai.APIStatusError as error:
            return error.status_code
    return None


class _Traffic:
    """Requests one after the other, on several workloads at once: when each was begun, and how it ended."""

    def __init__(self, ports: list[int]) -> None:
        self.seen: list[tuple[float, int | None]] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=[port]) for port in ports]

    def _run(self, port: int) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            self.seen.append((began, _ask(port)))

    @contextlib.contextmanager
    def flowing(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()

    def passed(self, since: float) -> int:
        """How many that began at `since` or later passed."""
        return sum(began >= since and status is None for began, status in list(self.seen))

    def wait(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < until, "nothing happens"
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [(HIGH, LOW, 402), (HIGH, BLOCKED_EARLY, 402), (HIGH, APPROVED_EARLY, 403), (NONE, LOW, 402)],
    ids=["a lower limit", "a threshold that blocks", "a threshold that asks for approval", "a first Budget"],
)
def test_a_lowered_limit_holds_within_a_second_although_money_is_lent(
    before: str, after: str, status: int, tmp_path: pathlib.Path
) -> None:
    folder = localmode.copy_of(localmode.QUICKSTART, tmp_path / "folder")
    budgets = folder / "budgets.yaml"
    budgets.write_text(before)
    workloads = ("default/default", "default/other")
    with localmode.serving(folder, tmp_path / "state", *workloads) as local:
        traffic = _Traffic([local.port(workload) for workload in workloads])
        with traffic.flowing():
            traffic.wait(lambda: traffic.passed(0) >= 10)
            budgets.write_text(after)
            in_force = time.monotonic() + SECOND
            traffic.wait(lambda: sum(began >= in_force for began, _ in list(traffic.seen)) >= 20)
        assert traffic.passed(in_force) == 0
        assert {code for began, code in traffic.seen if began >= in_force} == {status}
        budgets.write_text(HIGH)
        traffic.wait(lambda: _ask(local.port()) is None)


def test_of_a_lowered_limit_above_what_is_spent_all_of_the_rest_can_be_spent(tmp_path: pathlib.Path) -> None:
    folder = localmode.copy_of(localmode.QUICKSTART, tmp_path / "folder")
    budgets = folder / "budgets.yaml"
    budgets.write_text(HIGH)
    with localmode.serving(folder, tmp_path / "state") as local:
        assert _ask(local.port()) is None
        budgets.write_text(LOW)
        time.sleep(SECOND)
        passed = 1
        while _ask(local.port()) is None:
            passed += 1
        assert passed == 50_000 // (COST + 100)
        held = localmode.command("get", "budgets", "--state", local.state_folder)
        assert money.format_amount(50_000) in held.stdout
