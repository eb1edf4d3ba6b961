"""What a ledger's database says of the configuration in force: the accounts, as the hub published them. Pure.

There are no manifests in a database. A Budget is its account, so it can be written down again; no other kind can.
"""

from collections.abc import Iterable, Sequence
from typing import Any, assert_never

from llmgov import money, resources, snapshot
from llmgov.ledger.rows import AccountRow, PartRow
from llmgov.resources import base
from llmgov.snapshot import Account, TargetKind
from llmgov.statuses.observed import Facts
from llmgov_cli.local import state

KINDS = (resources.Budget,)
"""What can be written down again."""

_SOURCE = "Budget/"


def run(accounts: Iterable[AccountRow], parts: Iterable[PartRow]) -> state.Run:
    """The accounts and parts in force, as a serving process would tell of them; of processes nothing is known."""
    defined = tuple(row.account for row in accounts if row.key == row.account.key)
    return state.Run(
        pid=0,
        folder="",
        since=max((row.since for row in parts), default=0),
        sidecars={},
        enforcing={},
        resources=tuple(budget(each) for each in defined if each.source.startswith(_SOURCE)),
        problems=(),
        facts=Facts(accounts=defined),
    )


def budget(account: Account) -> dict[str, Any]:
    """The Budget that an account of one was compiled from, with all defaults written out."""
    namespace, _, name = account.source.removeprefix(_SOURCE).partition("/")
    return {
        "apiVersion": base.API_VERSION,
        "kind": "Budget",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "target": _target(account),
            "limit": _whole(money.format_amount(account.limit)),
            "currency": account.currency,
            "period": account.period.value,
            "timeZone": account.time_zone,
            "thresholds": _thresholds(account.thresholds),
        },
    }


def _target(account: Account) -> dict[str, Any]:
    name = account.target.name
    match account.target.kind:
        case TargetKind.ORGANIZATION:
            return {"organization": {}}
        case TargetKind.WORKLOAD:
            namespace, _, service_account = name.partition("/")
            return {"workload": {"namespace": namespace, "serviceAccount": service_account}}
        case TargetKind.USER:
            return {"eachUser": {}}
        case TargetKind.TEAM | TargetKind.NAMESPACE | TargetKind.POLICY as kind:  # no Budget has the last
            return {kind.value: name}
        case kind:
            assert_never(kind)


def _thresholds(given: Sequence[snapshot.Threshold]) -> list[dict[str, Any]]:
    return [{"percent": each.percent, "actions": [action.value for action in each.actions]} for each in given]


def _whole(amount: str) -> str:
    """`5000.00` as people write it."""
    return amount.removesuffix(".00")
