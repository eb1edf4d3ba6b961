"""A snapshot made ready to decide with: policies in order, prices by name, and what applies to whom, remembered.

Built once for a configuration and replaced whole with the next one. Its caches only remember what follows from the
snapshot, so they change no answer; they are bounded, since clients choose model names.
"""

import msgspec
import re2

from llmgov.policy import access, compliance, content, cost, duties, limits, match, rate, scanner, terms
from llmgov.policy.decision import Charge, Evaluation, OutputFilter, Principal
from llmgov.policy.output import OutputScanner
from llmgov.policy.plan import Plan, Unopposed
from llmgov.policy.rules import KINDS, Rule, applied, of_kind
from llmgov.policy.scanner import Scanner
from llmgov.policy.tokens import Issuers
from llmgov.policy.verdict import Verdict
from llmgov.prices import bound
from llmgov.snapshot import (
    Account,
    Compliance,
    ContentFilter,
    CostLimit,
    Direction,
    Directory,
    ModelAccess,
    ModelPrice,
    Policy,
    Provider,
    RateLimit,
    Snapshot,
    Target,
    TargetKind,
    user_account_key,
)
from llmgov.wire.events import Format

MAX_PLANS = 1024
"""How many combinations of principal, provider and model a runtime remembers."""

_OWN_KIND = {Format.OPENAI: "openai", Format.ANTHROPIC: "anthropic"}
_SERVES = {Format.OPENAI: ("openai", "openai-compatible"), Format.ANTHROPIC: ("anthropic",)}


class BadSnapshotError(ValueError):
    """A snapshot that cannot be put in force: the caller keeps its last good one."""


class Runtime:
    """One configuration in force.

    Raises:
        BadSnapshotError: a pattern that RE2 does not compile, or a selector with an unknown operator. The compiler
            lets neither through; a sidecar must not trust that.
    """

    def __init__(self, snapshot: Snapshot, directory: Directory | None = None) -> None:
        organization, namespace = snapshot.organization, snapshot.namespace
        self.snapshot = snapshot
        self.directory = directory or Directory()
        self.settings = organization.settings
        self.observes = namespace.observe or organization.settings.kill_switch
        self.policies = tuple(
            sorted(organization.policies + namespace.policies, key=lambda policy: (-policy.priority, policy.id))
        )
        self.accounts = organization.accounts + namespace.accounts
        self.providers = namespace.providers + organization.providers
        for policy in self.policies:
            _validate(policy)
        self.permissions = {role.name: frozenset(role.permissions) for role in organization.roles}
        self.issuers = Issuers(self.settings.issuers)
        self._prices = _by_name(snapshot.prices.models)
        self._own_prices = {provider.id: _by_name(provider.prices) for provider in self.providers}
        self._scanners: dict[tuple[str, ...], Scanner] = {}
        self._output_scanners: dict[tuple[tuple[str, bool], ...], OutputScanner] = {}
        self._plans: dict[tuple[object, ...], Plan] = {}
        self._last: tuple[Principal, Format, str, Plan] | None = None

    def plan(self, principal: Principal, format_: Format, model: str) -> Plan:
        """What applies to requests of this principal for this model, as the client names it."""
        last = self._last
        if last is not None and last[0] is principal and last[1] is format_ and last[2] == model:
            return last[3]
        found = self._find(principal, format_, model)
        self._last = principal, format_, model, found
        return found

    def _find(self, principal: Principal, format_: Format, model: str) -> Plan:
        workload = principal.workload
        key = (
            workload.namespace,
            workload.service_account,
            frozenset(workload.labels.items()),
            principal.user,
            principal.verified,
            principal.roles,
            principal.teams,
            format_,
            model,
        )
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            found = self._plans[key] = self._make(principal, self._provider(format_, model), model)
        return found

    def definitions(self) -> dict[str, Account]:
        """The accounts by key, each in dry run where nothing may be refused for it."""
        return {
            account.key: msgspec.structs.replace(account, dry_run=account.dry_run or self.observes)
            for account in self.accounts
        }

    def price(self, provider: Provider, model: str) -> ModelPrice | None:
        """The price by exact name or alias: the credential's own, else the known one of the provider's kind."""
        name = f"{provider.kind}/{model}"
        return self._own_prices[provider.id].get(name) or self._prices.get(name)

    def output_scanner(self, filters: tuple[OutputFilter, ...]) -> OutputScanner | None:
        """What scans an answer under a decision's `output`; `None` where nothing is looked for."""
        if not filters:
            return None
        key = tuple((output.policy, output.dry_run) for output in filters)
        if key not in self._output_scanners:
            self._output_scanners[key] = OutputScanner(filters)
        return self._output_scanners[key]

    def _scanner(self, rules: tuple[Rule[ContentFilter], ...]) -> Scanner:
        key = tuple(rule.id for rule in rules)
        if key not in self._scanners:
            self._scanners[key] = Scanner([rule.body for rule in rules])
        return self._scanners[key]

    def _provider(self, format_: Format, model: str) -> Provider | None:
        serves = [provider for provider in self.providers if provider.kind in _SERVES[format_]]
        naming = [provider for provider in serves if model in provider.models]
        own = [provider for provider in serves if provider.kind == _OWN_KIND[format_]]
        return next(iter(naming or own or serves), None)

    def _make(self, principal: Principal, provider: Provider | None, asked: str) -> Plan:
        model = provider.models.get(asked, asked) if provider else asked
        kind = provider.kind if provider else ""
        rules: list[tuple[Policy, bool]] = []
        skipped: list[Evaluation] = []
        for policy in self.policies:
            field = match.why_not(policy.match, principal, kind, model)
            if field is None:
                rules.append((policy, not (policy.dry_run or self.observes)))
            else:
                outcome = f"does not apply: appliesTo.{field}"
                skipped.append(Evaluation(policy.id, KINDS[type(policy.body)], False, outcome))
        charges = self._charges(principal, kind, model)
        contents, approvals = of_kind(rules, ContentFilter), of_kind(rules, Compliance)
        filters = tuple(rule for rule in contents if Direction.REQUEST in rule.body.directions)
        models, costs = of_kind(rules, ModelAccess), of_kind(rules, CostLimit)
        rates = of_kind(rules, RateLimit)
        price = self.price(provider, model) if provider else None
        allowed = access.check(models, kind, model, principal, self.permissions)
        return Plan(
            provider=provider,
            kind=kind,
            asked=asked,
            model=model,
            price=price,
            plain=bound.plain(price) if price is not None else None,
            access=allowed,
            retries=access.retries(models),
            fallback_models=access.fallback_models(models),
            limits=limits.of(rates, principal),
            filters=filters,
            finder=self._scanner(filters),
            output=tuple(
                OutputFilter(rule.id, rule.body, not rule.acts)
                for rule in contents
                if Direction.RESPONSE in rule.body.directions
            ),
            compliance=approvals,
            unapproved=compliance.unapproved(approvals, kind, model),
            duties=duties.of(approvals),
            costs=costs,
            charges=charges,
            terms=terms.of(charges, costs),
            path=_path(principal, charges),
            skipped=tuple(skipped),
            unopposed=_unopposed(
                [allowed, rate.within(rates), content.clean(filters), cost.within(costs), compliance.none(approvals)],
                skipped,
            ),
        )

    def _charges(self, principal: Principal, kind: str, model: str) -> tuple[Charge, ...]:
        targets = set(_targets(principal))
        return tuple(
            Charge(account, _charge_key(account, principal), not (account.dry_run or self.observes))
            for account in self.accounts
            if _counts(account, principal, targets) and match.why_not(account.match, principal, kind, model) is None
        )


def _unopposed(verdicts: list[Verdict], skipped: list[Evaluation]) -> Unopposed:
    _, rates, contents, costs, approvals = verdicts
    evaluations = (*(one for verdict in verdicts for one in verdict.evaluations), *skipped)
    violations = tuple(one for verdict in verdicts for one in verdict.violations)
    return Unopposed(rates, contents, costs, approvals, verdicts, evaluations, applied(evaluations), violations)


def _by_name(prices: tuple[ModelPrice, ...]) -> dict[str, ModelPrice]:
    named = {f"{price.provider}/{alias}": price for price in prices for alias in price.aliases}
    named.update({f"{price.provider}/{price.model}": price for price in prices})
    return named


def _targets(principal: Principal) -> tuple[Target, ...]:
    """The charging path, nearest first: workload, namespace, team, its parents, organization; a verified user too."""
    workload = principal.workload
    user = (Target(TargetKind.USER, principal.user),) if principal.verified and principal.user else ()
    return (
        *user,
        Target(TargetKind.WORKLOAD, workload.name),
        Target(TargetKind.NAMESPACE, workload.namespace),
        *(Target(TargetKind.TEAM, team) for team in principal.teams),
        Target(TargetKind.ORGANIZATION),
    )


def _counts(account: Account, principal: Principal, targets: set[Target]) -> bool:
    if account.target.kind is TargetKind.POLICY:
        return True
    if account.target == Target(TargetKind.USER):
        return principal.verified and principal.user is not None
    return account.target in targets


def _charge_key(account: Account, principal: Principal) -> str:
    if account.target == Target(TargetKind.USER) and principal.user is not None:
        return user_account_key(account.key, principal.user)
    return account.key


def _path(principal: Principal, charges: tuple[Charge, ...]) -> tuple[str, ...]:
    policies = (str(charge.account.target) for charge in charges if charge.account.target.kind is TargetKind.POLICY)
    return tuple(dict.fromkeys((*(str(target) for target in _targets(principal)), *policies)))


def _validate(policy: Policy) -> None:
    """Meet every pattern and selector once, so that none fails while a request waits."""
    try:
        if policy.match.pods is not None:
            match.selects(policy.match.pods, {})
        if isinstance(policy.body, ContentFilter):
            for pattern in policy.body.patterns:
                scanner.compiled(pattern.regex)
    except (ValueError, re2.error) as error:
        raise BadSnapshotError(f"policy {policy.id}: {error}") from error
