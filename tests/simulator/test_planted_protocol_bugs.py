"""The simulator finds each planted bug within the seeds of a test run, as what it is."""

import pathlib
import re

import pytest

from llmgov_hub.recovery import Recovery
from tests.simulator import __main__, planted, report, world
from tests.simulator.pod import Pod
from tests.simulator.violation import Invariant

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "simulator.md"


@pytest.mark.parametrize("name", planted.BUGS)
def test_a_planted_bug_breaks_what_it_must_and_is_found_where_the_docs_say(name: str) -> None:
    bug = planted.BUGS[name]
    tried, result = planted.find(name)
    assert result is not None, f"no world of kind {bug.kind!r} shows that {bug.what}"
    assert result.violation is not None
    assert result.violation.invariant in bug.breaks, report.found(result)
    assert report.row(name, bug, tried, result) in DOCS.read_text().splitlines()


def test_the_docs_have_each_planted_bug_once_and_explain_each_invariant() -> None:
    text = DOCS.read_text()
    assert re.findall(r"^\| .+ \(`(\w+)`\) \|", text, re.MULTILINE) == list(planted.BUGS)
    assert all(f"`{invariant.value}`" in text for invariant in Invariant)


def test_a_request_that_dies_of_an_exception_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dispatch(*_: object) -> None:
        raise LookupError("nobody expects this")

    monkeypatch.setattr(Pod, "_dispatch", dispatch)
    violation = world.run(0).violation
    assert violation is not None
    assert violation.invariant is Invariant.REQUEST
    assert "nobody expects this" in violation.what


def test_a_task_of_a_replica_that_dies_of_an_exception_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(_: Recovery) -> bool:
        raise LookupError("nobody expects this")

    monkeypatch.setattr(Recovery, "look", look)
    violation = world.run(0).violation
    assert violation is not None
    assert str(violation) == "error: hub-0: recovery died of LookupError('nobody expects this')"


def test_what_is_found_is_shown_in_columns_with_the_events_before_it_and_how_to_replay_it() -> None:
    seed = planted.seeds("crashes")[0]
    with planted.planted("attempt_without_an_end_is_free"):
        shown, again = (report.found(world.run(seed)) for _ in range(2))
    assert shown == again
    *events, violation, ending, replay = shown.splitlines()
    assert len(events) == report.LAST - 1
    found = re.fullmatch(r"\d\d \d\d:\d\d:\d\d\.\d{6}  VIOLATION  (\w+) +(.+)", violation)
    assert all(re.match(r"\d\d \d\d:\d\d:\d\d\.\d{6}  [\w-]+ +\w", event) for event in events)
    assert found
    assert ending == f"seed {seed} (crashes): {found[1]}: {found[2]}"
    assert replay == f"replay with: .venv/bin/python -m tests.simulator --seed {seed}"


def test_a_seed_that_was_run_with_a_bug_is_replayed_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    name = "attempt_without_an_end_is_free"
    words = ["--seed", str(planted.seeds("crashes")[0]), "--bug", name]
    shown = []
    for _ in range(2):
        assert __main__.main(words) == 1
        shown.append(capsys.readouterr().out)
        words = shown[-1].splitlines()[-1].removeprefix("replay with: .venv/bin/python -m tests.simulator ").split()
    assert shown[0] == shown[1]
    assert words[2:] == ["--bug", name]


def test_a_planted_bug_is_looked_for_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["--bug", "approval_used_twice"]) == 1
    *_, ending, replay = capsys.readouterr().out.splitlines()
    assert re.match(r"seed \d+ \(approvals\): approval: ", ending)
    assert replay.endswith(" --bug approval_used_twice")


def test_nothing_is_planted_afterwards() -> None:
    for name, bug in planted.BUGS.items():
        with planted.planted(name):
            pass
        seed = planted.seeds(bug.kind)[0]
        assert world.run(seed).violation is None
