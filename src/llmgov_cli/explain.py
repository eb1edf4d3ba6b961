"""`llmgov explain REQUEST.json`: which policies applied to a request, in which order, what came of each, and why.

The file is a situation as in cases.yaml (`request`, `principal`, `time`, `spent`, …; docs/policy-test.md), or just a
body as the provider's API takes it: then it is sent by default/default. Without a time it happens now. `-` stands for
standard input. With `--at` it happens at a time in the past, under what was in force then.
"""

import datetime
import json
import pathlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

import msgspec

from llmgov import instants, money
from llmgov.instants import Instant
from llmgov.policy.decision import Evaluation
from llmgov.wire.events import Operation
from llmgov_cli import assembly, bystanders, cases, errors, past, prices, shapes, sources, tables, till, whatif
from llmgov_cli.local import lock, state

_STDIN = pathlib.Path("-")


def run(request: pathlib.Path, folder: pathlib.Path | None, out: TextIO) -> int:
    """Print the decision about the request under the YAML in `folder`; `None` means the folder that is being served.

    Returns 0 whatever is decided, 1 where the folder has errors and would not be put in force.

    Raises:
        errors.CommandError: the request's file cannot be read as one, or no folder is served.
    """
    situation = read(request)
    checked = assembly.compile_files([folder or _served()], prices.prices(), [situation.principal.namespace])
    if checked.errors:
        out.writelines(f"{finding}\n" for finding in checked.errors)
        return 1
    try:
        outcome = whatif.decide(checked.compiled, situation)
    except (till.UnknownBudgetError, ValueError) as error:
        raise errors.CommandError(f"{request}: {error}") from error
    sender = situation.principal.namespace
    others = [] if outcome.decision is None else list(bystanders.of(checked.compiled, outcome.decision, sender))
    out.write("\n".join(_sections(_summary(situation, outcome), outcome, others)))
    return 0


def run_at(request: pathlib.Path, where: sources.Where, at: Instant, out: TextIO, cluster: str | None = None) -> int:
    """Print the decision about the request as it would have been at `at`, by the parts that a ledger keeps.

    The file's own time does not count. Returns 0 whatever is decided.

    Raises:
        errors.CommandError: the request's file cannot be read as one, there is no ledger, or nothing was in force then.
    """
    situation = msgspec.structs.replace(read(request), time=instants.to_rfc3339(at))
    namespace = situation.principal.namespace
    then = sources.read(sources.find(where), lambda ledger: past.find(ledger.rows, at, namespace, cluster))
    try:
        outcome = whatif.decide(then, situation)
    except (till.UnknownBudgetError, ValueError) as error:
        raise errors.CommandError(f"{request}: {error}") from error
    others = [] if outcome.decision is None else list(bystanders.of_these(then.policies, outcome.decision))
    out.write("\n".join(_sections([*_summary(situation, outcome), *then.lines()], outcome, others)))
    return 0


def _served() -> pathlib.Path:
    """The folder that `llmgov local` serves, as the state folder found here says.

    Raises:
        errors.CommandError: none is served.
    """
    try:
        kept = state.find(None)
        if lock.served(kept):
            return pathlib.Path(state.read_run(kept).folder)
    except errors.CommandError:
        pass
    raise errors.CommandError("no `llmgov local` serves a folder from here; name the folder of YAML with --dir")


def read(file: pathlib.Path) -> cases.Situation:
    """The situation in a file of JSON.

    Raises:
        errors.CommandError: it cannot be read, or is neither a situation nor a body.
    """
    try:
        data = sys.stdin.buffer.read() if file == _STDIN else file.read_bytes()
        document = json.loads(data, object_pairs_hook=_distinct)
    except FileNotFoundError as error:
        raise errors.CommandError(f"{file}: no such file") from error
    except OSError as error:
        raise errors.CommandError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise errors.CommandError(f"{file}: cannot be read as JSON: {error}") from error
    if isinstance(document, dict) and "request" not in document and "model" in document:
        document = {"request": {"operation": _operation(document).value, "body": document}}
    _refuse(file, shapes.faults(document, cases.Situation))
    situation = msgspec.convert(document, cases.Situation)
    if "time" not in document:
        situation = msgspec.structs.replace(situation, time=datetime.datetime.now(datetime.UTC).isoformat())
    _refuse(file, cases.check(situation))
    return situation


def _distinct(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, unless a name is there twice: the proxy refuses such a body, too."""
    found = dict(members)
    if len(found) != len(members):
        names = [name for name, _ in members]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _refuse(file: pathlib.Path, faults: Iterable[shapes.Fault]) -> None:
    if wrong := [f"{path}{': ' if path else ''}{sentence}" for path, sentence in faults]:
        raise errors.CommandError(f"{file}: " + "\n  ".join(wrong))


def _operation(body: dict[str, Any]) -> Operation:
    """Which API a bare body is meant for, as its fields and its model tell."""
    if "input" in body:
        return Operation.EMBEDDINGS if "embedding" in str(body["model"]) else Operation.RESPONSES
    return Operation.MESSAGES if str(body["model"]).startswith("claude") else Operation.CHAT_COMPLETIONS


def _sections(summary: Iterable[str], outcome: whatif.Outcome, others: Sequence[Evaluation]) -> Iterator[str]:
    yield "".join(f"{line}\n" for line in summary)
    if outcome.decision is not None:
        yield _policies([*outcome.decision.evaluations, *others])
        if outcome.violations:
            yield _violations(outcome)
    if outcome.accounts:
        yield f"{_accounts(outcome)}\n{_ASSUMED}"


def _summary(situation: cases.Situation, outcome: whatif.Outcome) -> Iterator[str]:
    sender = situation.principal
    user = f" for {sender.user}" if sender.user else ""
    yield f"Request:   {_model(situation, outcome)} by {sender.namespace}/{sender.service_account}{user}"
    yield f"Time:      {instants.to_rfc3339(situation.now // instants.SECOND * instants.SECOND)}"
    yield f"Decision:  {outcome.action.value}"
    if outcome.refusal is not None:
        yield f"Refusal:   {outcome.refusal.reason.value}: {outcome.refusal.message}"
    if outcome.wait is not None:
        yield f"Waits:     {outcome.wait / instants.SECOND:g} s"
    if outcome.clamp is not None:
        asked = "none" if outcome.clamp.asked is None else outcome.clamp.asked
        yield f"Clamp:     {outcome.clamp.field} {outcome.clamp.value} (asked: {asked}) by {outcome.clamp.policy}"
    if outcome.held is not None:
        where = " in each account below" if outcome.accounts else "; no account counts it"
        yield f"Hold:      ${money.format_amount(outcome.held)}{where}"


def _model(situation: cases.Situation, outcome: whatif.Outcome) -> str:
    decision = outcome.decision
    kind = decision.provider.kind if decision is not None and decision.provider is not None else "no provider"
    name = decision.model if decision is not None else (situation.request.model or "")
    return f"{situation.request.operation.value} {kind}/{name}"


_ASSUMED = "SPENT is what the request's file says under `spent`, else nothing: the ledger was not asked.\n"


def _policies(evaluations: Sequence[Evaluation]) -> str:
    rows = [
        [str(order), each.policy, each.kind, "yes" if each.applied else "no", each.outcome]
        for order, each in enumerate(bystanders.joined(evaluations), start=1)
    ]
    return tables.render(["order", "policy", "kind", "applies", "outcome"], rows)


def _violations(outcome: whatif.Outcome) -> str:
    rows = [
        [each.policy, each.action.value, each.reason, each.path or "", "yes" if each.dry_run else "no"]
        for each in outcome.violations
    ]
    return tables.render(["violation of", "action", "reason", "path", "dry run"], rows)


def _amounts(standing: till.Standing) -> tuple[str, str]:
    """Limit and spend, in the currency that the limit was written in."""
    account, window = standing.charge.account, standing.window
    return money.show_units(account.limit, account.currency), money.show(
        window.spent, account.currency, window.nano_usd
    )


def _accounts(outcome: whatif.Outcome) -> str:
    rows = [
        [
            str(standing.charge.account.target),
            standing.charge.account.source,
            *_amounts(standing),
            instants.to_rfc3339(standing.window.end),
            "yes" if standing.charge.enforced else "no",
        ]
        for standing in outcome.accounts
    ]
    return tables.render(["account", "limited by", "limit", "spent", "resets", "enforced"], rows)
