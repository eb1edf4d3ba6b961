"""The organization that `bench_ledger` measures: 10,000 accounts, six levels below it, users, and what sidecars say.

Every target has a monthly budget with four thresholds, so an attempt is charged to eight accounts: those of its user,
workload, namespace, team, three teams above it, and the organization. All numbers that name something wrap around, so
that any number of sidecars has a place.
"""

import dataclasses
from collections.abc import Iterator

from llmgov import snapshot
from llmgov.instants import Instant
from llmgov.ledger.messages import Charged, Epoch, Intent, LeaseGrant, LeaseRequest, Need, Outcome, Settlement, Subject
from llmgov.snapshot import (
    Account,
    Dimension,
    NamespacePart,
    OrganizationPart,
    Part,
    Period,
    Target,
    TargetKind,
    Threshold,
    ThresholdAction,
)

USD = 1_000_000
LIMIT = 1_000_000_000 * USD
HOLD = USD // 100
COST = HOLD // 2

TEAMS = 1_000
NAMESPACES = 3_000
WORKLOADS = 5_688
ABOVE = (("group", 4), ("division", 20), ("department", 100))
"""The teams above a team, nearest first, and how many teams each has below it."""

REPLICA_TEAMS = 100
"""Teams of one department: sidecars of one replica are of one, so that what replicas share is the organization."""

REPLICAS = 8
"""How many replicas may have a team of their own in the organization's place."""

THRESHOLDS = (
    Threshold(50, (ThresholdAction.NOTIFY_USERS,)),
    Threshold(75, (ThresholdAction.NOTIFY_ADMINS,)),
    Threshold(90, (ThresholdAction.REQUIRE_APPROVAL,)),
    Threshold(100, (ThresholdAction.BLOCK,)),
)


def account(target: Target) -> Account:
    """A target's monthly budget."""
    key = snapshot.account_key("bench", str(target), Period.MONTH, "Europe/Berlin")
    source = f"Budget/llm-governance/{str(target).replace('/', '-')}"
    return Account(key, target, LIMIT, Period.MONTH, "Europe/Berlin", source, thresholds=THRESHOLDS)


EACH_USER = account(Target(TargetKind.USER))
ORGANIZATION = Target(TargetKind.ORGANIZATION)


def levels(workload: int) -> tuple[Target, ...]:
    """A workload and what is above it, without the organization."""
    namespace = workload % NAMESPACES
    team = namespace % TEAMS
    return (
        Target(TargetKind.WORKLOAD, f"ns-{namespace}/app-{workload}"),
        Target(TargetKind.NAMESPACE, f"ns-{namespace}"),
        Target(TargetKind.TEAM, f"team-{team}"),
        *(Target(TargetKind.TEAM, f"{name}-{team // size}") for name, size in ABOVE),
    )


def parts(workloads: int = WORKLOADS) -> dict[str, Part]:
    """The configuration: 10,000 accounts, those of teams in the organization's part and the others in namespaces'."""
    of_namespaces: dict[int, list[Account]] = {}
    of_teams: dict[str, Account] = {}
    for workload in range(workloads):
        mine, namespace, *teams = map(account, levels(workload))
        of_namespaces.setdefault(workload % NAMESPACES, [namespace]).append(mine)
        of_teams.update((each.key, each) for each in teams)
    aside = [
        account(Target(TargetKind.TEAM, name)) for name in (*(f"apart-{each}" for each in range(REPLICAS)), "late")
    ]
    of_teams.update((each.key, each) for each in aside)
    whole = OrganizationPart("bench", accounts=(account(ORGANIZATION), EACH_USER, *of_teams.values()))
    found: dict[str, Part] = {"organization": whole}
    for number, accounts in of_namespaces.items():
        found[f"namespace/ns-{number}"] = NamespacePart(f"ns-{number}", accounts=tuple(accounts))
    return found


@dataclasses.dataclass
class Sidecar:
    """One pod of the `number`-th workload of a replica's department, with one user.

    `apart` puts a team of the replica's own in the place of the organization, so that replicas share no account.
    """

    replica: int
    number: int
    epoch: Epoch
    apart: bool = False
    requests: int = 0
    attempts: int = 0

    def __post_init__(self) -> None:
        workload = self.replica * REPLICA_TEAMS + self.number % REPLICA_TEAMS
        top = Target(TargetKind.TEAM, f"apart-{self.replica}") if self.apart else ORGANIZATION
        targets = (*levels(workload), top)
        self.user = f"user-{self.replica}-{self.number}@example.com"
        self.accounts = (*map(account, targets), EACH_USER)
        self.keys = (*(each.key for each in self.accounts[:-1]), snapshot.user_account_key(EACH_USER.key, self.user))
        self.subject = Subject(
            namespace=targets[1].name,
            service_account=f"app-{workload}",
            user=self.user,
            teams=tuple(each.name for each in targets[2:-1]),
            path=(*map(str, targets), f"user/{self.user}"),
            provider="openai",
            model="gpt-4o-mini",
            operation="chat.completions",
            pod=self.epoch.holder,
        )

    def request(self, want: int) -> LeaseRequest:
        """Ask for `want` on every account."""
        self.requests += 1
        needs = tuple(Need(key, each, HOLD, want) for key, each in zip(self.keys, self.accounts, strict=True))
        path = self.subject.path
        return LeaseRequest(self.epoch, self.requests, needs, path, None, self.requests, self.keys, HOLD)

    def halves(self, lent: LeaseGrant, at: Instant) -> Iterator[tuple[Intent, Settlement]]:
        """Attempts that hold from the leases of `lent`, without end."""
        charged = tuple(Charged(lease.id, lease.key, HOLD) for lease in lent.leases)
        while True:
            self.attempts += 1
            id_ = f"{self.epoch}/{self.attempts}"
            yield (
                Intent(
                    id=id_,
                    at=at,
                    request_id=f"req_{self.attempts:032x}",
                    subject=self.subject,
                    hold=HOLD,
                    charged=charged,
                    snapshot=("8a4f27e1", "0c9d3b52", "71e6a0f4"),
                    policies=("llm-governance/pii", "llm-governance/default-rate", "llm-governance/models"),
                    prompt=f"{self.attempts:064x}",
                ),
                Settlement(
                    id=id_,
                    at=at,
                    outcome=Outcome.SETTLED,
                    cost=COST,
                    usage={Dimension.INPUT: 812, Dimension.OUTPUT: 340},
                    status=200,
                    model="gpt-4o-mini-2024-07-18",
                    duration=1_840_000,
                ),
            )
