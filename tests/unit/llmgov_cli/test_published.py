"""A Budget that is written down again from its account, as a database has it, is the one that was applied."""

import pathlib

import pytest

from llmgov import resources
from llmgov.ledger.rows import AccountRow, PartRow
from llmgov.resources import limits
from llmgov.snapshot import ThresholdAction
from llmgov.statuses import facts
from llmgov_cli import prices, published
from llmgov_cli.local import folder

AROUND = """\
apiVersion: llmgov.dev/v1alpha1
kind: GovernanceSettings
metadata: {name: default}
spec: {currencyRates: [{currency: EUR, usd: "1.0937"}]}
---
apiVersion: llmgov.dev/v1alpha1
kind: Team
metadata: {name: payments}
spec: {namespaces: {names: [shop]}}
---
apiVersion: llmgov.dev/v1alpha1
kind: Budget
metadata: {name: applied, namespace: llm-governance}
spec: """

BLOCKS = (limits.Threshold(percent=100, actions=(ThresholdAction.BLOCK,)),)
"""What a Budget means that lists no thresholds: no default is written into it, and so its account says it."""

SPECS = {
    "the organization": '{target: {organization: {}}, limit: "5000", period: Month}',
    "a team": '{target: {team: payments}, limit: "0.25", period: Day, timeZone: Europe/Berlin}',
    "a namespace, in euros": '{target: {namespace: shop}, limit: "12.5", currency: EUR, period: Week}',
    "a workload": '{target: {workload: {namespace: shop, serviceAccount: web}}, limit: "1", period: Hour}',
    "each user": '{target: {eachUser: {}}, limit: "100", period: Year}',
    "thresholds": (
        '{target: {organization: {}}, limit: "10", period: Quarter, thresholds: ['
        "{percent: 50, actions: [NotifyUsers, RequireApproval]}, {percent: 100, actions: [Block]}]}"
    ),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_budget_comes_back_from_its_account(spec: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "all.yaml").write_text(AROUND + spec + "\n")
    loaded = folder.load(tmp_path, prices.prices(), ["shop"], 1)
    assert loaded.rejected == ()
    (applied,) = (resources.parse(each) for each in loaded.documents if each["kind"] == "Budget")
    accounts = facts.of(loaded.compiled).accounts
    (written,) = published.run([AccountRow(each.key, "", each) for each in accounts], ()).resources
    found = resources.parse(written)
    assert isinstance(found, resources.Budget)
    assert isinstance(applied, resources.Budget)
    without = {"limit", "thresholds"}
    assert found.spec.model_dump(exclude=without) == applied.spec.model_dump(exclude=without)
    assert found.spec.thresholds == (applied.spec.thresholds or BLOCKS)
    assert float(found.spec.limit) == float(applied.spec.limit)
    assert found.ref == applied.ref


def test_users_own_accounts_and_policies_are_no_budgets(tmp_path: pathlib.Path) -> None:
    (tmp_path / "all.yaml").write_text(AROUND + SPECS["each user"] + "\n")
    (account,) = facts.of(folder.load(tmp_path, prices.prices(), ["shop"], 1).compiled).accounts
    rows = [AccountRow(account.key, "", account), AccountRow(f"{account.key}|jane", "user/jane", account)]
    parts = [PartRow("organization", "v2", b"", since=20), PartRow("namespace/shop", "v1", b"", since=10)]
    run = published.run(rows, parts)
    assert (len(run.resources), run.facts.accounts, run.since) == (1, (account,), 20)
