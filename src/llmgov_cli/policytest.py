"""`llmgov policy test`: cases beside the resources, decided by the same compiler, engine and ledger as in production.

docs/policy-test.md has the format of the files. Nothing is sent anywhere.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from llmgov import money, snapshot
from llmgov_cli import assembly, cases, ownfiles, prices, tables, till, whatif

_SUFFIXES = ("cases.yaml", "cases.yml")


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What came of one case; `unmet` are sentences, empty where everything that was expected held."""

    file: pathlib.Path
    line: int
    name: str
    decided: str
    unmet: tuple[str, ...]


def run(paths: Iterable[pathlib.Path], out: TextIO) -> int:
    """Run all cases at or below `paths`, print a table of results, and what did not hold with file and line.

    Returns 0 where there are cases and all hold, 1 otherwise.
    """
    files = [file for path in paths for file in _files(path)]
    known = prices.prices()
    results: list[Result] = []
    faults: list[str] = []
    for file in dict.fromkeys(files):
        _run_file(file, known, results, faults)
    if not files:
        faults.append("no cases.yaml was found")
    out.write(_report(results, faults))
    return 1 if faults or any(result.unmet for result in results) else 0


def _files(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """The files of cases at or below a path."""
    if path.is_dir():
        yield from sorted(each for each in path.rglob("*cases.y*ml") if _has_cases(each))
    else:
        yield path


def _has_cases(file: pathlib.Path) -> bool:
    return file.name in _SUFFIXES or file.name.endswith(tuple(f".{suffix}" for suffix in _SUFFIXES))


def _run_file(file: pathlib.Path, known: snapshot.PricePart, results: list[Result], faults: list[str]) -> None:
    try:
        found, located = cases.read(file)
    except ownfiles.FormatError as error:
        faults.extend(error.sentences)
        return
    namespaces = {each.case.principal.namespace for each in located}
    checked = assembly.compile_files([file.parent / path for path in found.resources], known, namespaces)
    if checked.errors:
        faults.extend(str(finding) for finding in checked.errors)
        return
    results.extend(_run_case(file, each, checked) for each in located)


def _run_case(file: pathlib.Path, located: cases.Located, checked: assembly.Checked) -> Result:
    case = located.case
    try:
        outcome = whatif.decide(checked.compiled, case)
    except (till.UnknownBudgetError, money.MoneyError, ValueError) as error:
        return Result(file, located.line, case.name, "", (str(error),))
    return Result(file, located.line, case.name, outcome.action.value, tuple(unmet(case.expect, outcome)))


def unmet(expect: cases.Expectation, outcome: whatif.Outcome) -> Iterator[str]:
    """Every part of an expectation that does not hold, as a sentence."""
    message = "" if outcome.refusal is None else outcome.refusal.message
    clamped = None if outcome.clamp is None else outcome.clamp.value
    if expect.action is not None and outcome.action is not expect.action:
        yield f"expected action {expect.action.value}, got {outcome.action.value}{_because(message)}"
    if expect.clamp is not None and clamped != expect.clamp:
        yield f"expected an output maximum of {expect.clamp}, got {clamped}"
    yield from _missing("reason", expect.reason, _reasons(outcome))
    yield from _missing("policy", expect.policy, _policies(outcome))
    for reason in expect.violations:
        yield from _missing("violation", reason, [violation.reason for violation in outcome.violations])
    yield from _differing("a message", message, expect.message, None)
    yield from _differing("a body", outcome.body.decode(), expect.body, expect.not_body)
    yield from _differing("an answer", outcome.answer, expect.answer, expect.not_answer)


def _missing(what: str, wanted: str | None, found: Sequence[str]) -> Iterator[str]:
    if wanted is not None and wanted not in found:
        yield f"expected {what} {wanted}, got {', '.join(found) or 'none'}"


def _differing(what: str, text: str, inside: str | None, outside: str | None) -> Iterator[str]:
    if inside is not None and inside not in text:
        yield f"expected {what} with {inside!r}, got {text!r}"
    if outside is not None and outside in text:
        yield f"expected {what} without {outside!r}, got {text!r}"


def _because(message: str) -> str:
    return f" ({message})" if message else ""


def _reasons(outcome: whatif.Outcome) -> list[str]:
    refused = [] if outcome.refusal is None else [outcome.refusal.reason.value]
    return list(dict.fromkeys([*refused, *(violation.reason for violation in outcome.violations)]))


def _policies(outcome: whatif.Outcome) -> list[str]:
    """Whose doing it is: the refusal's policy, the clamp's, and those of all violations."""
    refused = [] if outcome.refusal is None or outcome.refusal.policy is None else [outcome.refusal.policy]
    clamped = [] if outcome.clamp is None else [outcome.clamp.policy]
    return list(dict.fromkeys([*refused, *clamped, *(violation.policy for violation in outcome.violations)]))


def _report(results: Sequence[Result], faults: Sequence[str]) -> str:
    rows = [["ok" if not result.unmet else "FAILED", result.decided, result.name] for result in results]
    details = [f"{each.file}:{each.line}: {each.name}: {sentence}" for each in results for sentence in each.unmet]
    failed = sum(bool(result.unmet) for result in results)
    lines = [*faults, *details, f"{len(results)} cases, {failed} failed" + (", not all could run" if faults else "")]
    return (tables.render(["result", "decision", "case"], rows) + "\n" if rows else "") + "\n".join(lines) + "\n"
