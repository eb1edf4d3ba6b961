"""The simulator finds each planted bug, within the seeds of a test run."""

import re

import pytest

from tests.simulator import __main__, planted, report, shape, world


def seeds_of(kind: str) -> range:
    """The seeds whose worlds are of that kind, in order."""
    return range(shape.KINDS.index(kind), shape.SEEDS, len(shape.KINDS))


@pytest.mark.parametrize("name", planted.BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    bug = planted.BUGS[name]
    with planted.planted(name):
        for tried, seed in enumerate(seeds_of(bug.kind), 1):
            result = world.run(seed, keep=60)
            if result.violation is not None:
                print(f"{name}: {tried} worlds of kind {bug.kind!r}, seed {seed}: {result.violation}")
                return
    pytest.fail(f"no world of kind {bug.kind!r} shows that {bug.what}", pytrace=False)


def test_a_lease_that_does_not_pay_is_found_by_the_money_and_not_by_a_crash() -> None:
    with planted.planted("only_the_first_lease_pays"):
        violation = world.run(seeds_of("calm")[0]).violation
    assert violation is not None
    assert "may really be spent" in violation


def test_what_is_found_is_shown_in_columns_with_the_events_before_it_and_how_to_replay_it() -> None:
    seed = seeds_of("crashes")[0]
    with planted.planted("attempt_without_an_end_is_free"):
        shown, again = (report.found(world.run(seed)) for _ in range(2))
    assert shown == again
    *events, violation, ending, replay = shown.splitlines()
    assert len(events) == report.LAST - 1
    found = re.fullmatch(r"\d\d \d\d:\d\d:\d\d\.\d{6}  VIOLATION  (.+)", violation)
    assert all(re.match(r"\d\d \d\d:\d\d:\d\d\.\d{6}  [\w-]+ +\w", event) for event in events)
    assert found
    assert ending == f"seed {seed} (crashes): {found[1]}"
    assert replay == f"replay with: python -m tests.simulator --seed {seed}"


def test_a_seed_that_was_run_with_a_bug_is_replayed_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    name = "attempt_without_an_end_is_free"
    words = ["--seed", str(seeds_of("crashes")[0]), "--bug", name]
    shown = []
    for _ in range(2):
        assert __main__.main(words) == 1
        shown.append(capsys.readouterr().out)
        words = shown[-1].splitlines()[-1].removeprefix("replay with: python -m tests.simulator ").split()
    assert shown[0] == shown[1]
    assert words[2:] == ["--bug", name]


def test_nothing_is_planted_afterwards() -> None:
    for name, bug in planted.BUGS.items():
        with planted.planted(name):
            pass
        seed = seeds_of(bug.kind)[0]
        assert world.run(seed).violation is None
