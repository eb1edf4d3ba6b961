"""tests/golden/compiler: what is compiled from each input.yaml, and what is said of it.

After a wanted change: `LLMGOV_GOLDEN=write pytest tests/unit/llmgov/compiler`, then read the diff.
"""

import dataclasses
import json
import os
import pathlib

import msgspec
import pytest

from llmgov import compiler, problems, snapshot
from llmgov.compiler import codes
from llmgov.snapshot import Dimension
from llmgov_cli import assembly, manifests

GOLDEN = pathlib.Path(__file__).parents[3] / "golden" / "compiler"
CASES = sorted(path.name for path in GOLDEN.iterdir())

PRICES = snapshot.PricePart(
    (
        snapshot.ModelPrice(
            "openai",
            "gpt-4o",
            {Dimension.INPUT: 2_500_000, Dimension.CACHED_INPUT: 1_250_000, Dimension.OUTPUT: 10_000_000},
            context_window=128_000,
            max_output_tokens=16_384,
            service_tiers={"priority": 1_700_000, "flex": 500_000},
            aliases=("gpt-4o-2024-08-06",),
        ),
        snapshot.ModelPrice("openai", "gpt-4o-mini", {Dimension.INPUT: 150_000, Dimension.OUTPUT: 600_000}),
        snapshot.ModelPrice(
            "openai",
            "long-context",
            {Dimension.INPUT: 3_000_000, Dimension.OUTPUT: 10_000_000},
            context_tiers=(snapshot.ContextTier(200, {Dimension.INPUT: 6_000_000, Dimension.OUTPUT: 15_000_000}),),
        ),
        snapshot.ModelPrice(
            "anthropic", "claude-sonnet-4-5", {Dimension.INPUT: 3_000_000, Dimension.OUTPUT: 15_000_000}
        ),
    )
)


def compile_case(name: str) -> compiler.Compiled:
    documents, unreadable = manifests.load([GOLDEN / name / "input.yaml"])
    declared, invalid = manifests.parse(documents)
    assert [str(finding) for finding in (*unreadable, *invalid)] == []
    given = assembly.resource_set(documents, declared, secrets_known=True)
    return compiler.compile(dataclasses.replace(given, every_namespace=True), PRICES)


def check(path: pathlib.Path, found: str) -> None:
    if os.environ.get("LLMGOV_GOLDEN") == "write":
        path.write_text(found)
    assert found == path.read_text(), f"{path} differs; see this module's docstring"


def rendered(compiled: compiler.Compiled) -> str:
    parts = {
        "organization": compiled.organization,
        "namespaces": compiled.namespaces,
        "publishable": compiled.publishable,
        "held": sorted(compiled.held),
    }
    return json.dumps(msgspec.to_builtins(parts), indent=2, sort_keys=True) + "\n"


def line(problem: problems.Problem) -> str:
    return f"{problem.severity.value} {problem.code} {problem.resource} {problem.field}: {problem.message}\n"


@pytest.mark.parametrize("name", CASES)
def test_the_snapshot_is_the_golden_one(name: str) -> None:
    check(GOLDEN / name / "snapshot.json", rendered(compile_case(name)))


@pytest.mark.parametrize("name", CASES)
def test_the_problems_are_the_golden_ones(name: str) -> None:
    check(GOLDEN / name / "problems.txt", "".join(line(problem) for problem in compile_case(name).problems))


def test_every_code_has_a_case_of_its_own() -> None:
    kebab = {"".join(word.capitalize() for word in name.split("-")): name for name in CASES}
    for code in codes.ALL:
        assert code.name in kebab, f"there is no case {code.name}"
        found = {problem.code for problem in compile_case(kebab[code.name]).problems}
        assert found == {code.name}


def test_codes_are_told_apart_by_their_names() -> None:
    names = [code.name for code in codes.ALL]
    assert len(names) == len(set(names)) > 20
