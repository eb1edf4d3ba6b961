"""`llmgov get` over a state folder: lists, and what it says when nobody serves the folder."""

import asyncio
import io
import json
import pathlib

import msgspec
import pytest

from llmgov.ledger.messages import Subject, Violated
from llmgov.policy.decision import Action, Violation
from llmgov.statuses import facts
from llmgov_cli import audit, errors, get, lists, prices, spend
from llmgov_cli.local import folder, lock, state
from llmgov_hub.hub import Hub
from llmgov_store.sqlite.store import SqliteStore

POLICY = (
    "apiVersion: llmgov.dev/v1alpha1\nkind: LLMPolicy\nmetadata: {name: models, namespace: llm-governance}\n"
    "spec: {modelAccess: {allow: ['openai/*']}}\n"
)


def test_an_empty_outbox_is_said_in_words(tmp_path: pathlib.Path) -> None:
    asyncio.run(SqliteStore.open(tmp_path / "ledger.db").close())
    out = io.StringIO()
    get.run("outbox", tmp_path, "", out)
    assert out.getvalue() == "No notices are waiting\n"


@pytest.fixture
def kept(tmp_path: pathlib.Path) -> pathlib.Path:
    """A state folder as a process leaves it that served one policy to one sidecar."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "all.yaml").write_text(POLICY)
    loaded = folder.load(tmp_path / "policies", prices.prices(), ["default"], 1)
    kept = tmp_path / "state"
    kept.mkdir()
    asyncio.run(SqliteStore.open(kept / "ledger.db").close())
    workload = "default/default"
    run = state.Run(
        4711, "policies", 0, {workload: 1}, {workload: True}, loaded.documents, (), facts.of(loaded.compiled)
    )
    state.write_run(kept, run)
    return kept


def _enforcing(kept: pathlib.Path) -> str:
    out = io.StringIO()
    assert get.run("policies", kept, "", out) == 0
    headings, row = (line.split() for line in out.getvalue().splitlines())
    return row[headings.index("ENFORCING")]


def test_while_it_is_served_a_policy_is_enforced(kept: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def look() -> str:
        async with lock.held(kept):
            return await asyncio.to_thread(_enforcing, kept)

    assert asyncio.run(look()) == "1"
    assert capsys.readouterr().err == ""


def test_when_nobody_serves_it_nothing_is_enforced_and_that_is_said(
    kept: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _enforcing(kept) == "0"
    assert capsys.readouterr().err == f"llmgov: nobody serves {kept} now (process 4711 ended)\n"


def test_a_team_without_namespaces_of_its_own_shows_what_the_teams_below_it_spent(tmp_path: pathlib.Path) -> None:
    team = "apiVersion: llmgov.dev/v1alpha1\nkind: Team\nmetadata: {name: %s}\nspec: %s\n"
    (tmp_path / "teams.yaml").write_text(
        team % ("engineering", "{}")
        + "---\n"
        + team % ("search", "{parent: engineering, namespaces: {names: [default]}}")
    )
    compiled = folder.load(tmp_path, prices.prices(), ["default"], 1).compiled
    teams = facts.of(compiled).teams
    assert {name: team.parents for name, team in teams.items()} == {"engineering": (), "search": ("engineering",)}


def _list(kept: pathlib.Path, output: str) -> str:
    subject = Subject("shop", "web", None, (), (), "openai", "gpt-4o", "chat.completions")
    violation = Violation("root/pii", Action.FLAG, "pattern:ssn", "found at messages[0]", path="messages[0].content")
    event = Violated("e/1", 0, "req-1", None, subject, (violation,))

    async def report() -> None:
        store = SqliteStore.open(kept / "ledger.db")
        await Hub(store, lambda: 0).deliver([event])
        await store.close()

    asyncio.run(report())
    out = io.StringIO()
    assert get.run("violations", kept, output, out) == 0
    return out.getvalue()


def test_violations_in_short_say_who_and_what(kept: pathlib.Path) -> None:
    heading, row = _list(kept, "").splitlines()
    assert heading.split() == ["TIME", "POLICY", "ACTION", "REASON", "WORKLOAD", "USER", "MODEL", "COUNT"]
    assert row.split()[1:] == ["root/pii", "flag", "pattern:ssn", "shop/web", "<none>", "gpt-4o", "1"]


def test_violations_at_length_say_where_and_in_which_request(kept: pathlib.Path) -> None:
    heading, row = _list(kept, "wide").splitlines()
    assert heading.split()[-3:] == ["REQUEST", "PATH", "MESSAGE"]
    assert row.endswith("req-1     messages[0].content   found at messages[0]")


def test_violations_as_a_document_have_everything_and_a_number_for_a_count(kept: pathlib.Path) -> None:
    (found,) = json.loads(_list(kept, "json"))
    assert (found["count"], found["request"], found["path"]) == (1, "req-1", "messages[0].content")


def test_a_budgets_amounts_are_shown_with_their_currency(kept: pathlib.Path) -> None:
    out = io.StringIO()
    _serve(kept, f"{SETTINGS}---\n{BUDGET}")
    assert get.run("budgets", kept, "", out) == 0
    heading, row = out.getvalue().splitlines()
    order = ["NAMESPACE", "NAME", "TARGET", "LIMIT", "SPENT", "HELD", "USED", "RESETS", "STATE", "CURRENCY"]
    assert heading.split() == [*order, "READY", "REASON"]
    shown = dict(zip(heading.split(), row.split(), strict=True))
    assert (shown["LIMIT"], shown["CURRENCY"]) == ("5.00", "EUR")
    assert (shown["READY"], shown["REASON"]) == ("True", "Ready")


def test_a_policy_that_governs_no_model_says_so_though_it_is_ready(kept: pathlib.Path) -> None:
    out = io.StringIO()
    _serve(kept, POLICY.replace("openai/*", "opena1/gpt-4o"))
    assert get.run("policies", kept, "", out) == 0
    heading, row = out.getvalue().splitlines()
    shown = dict(zip(heading.split(), row.split(), strict=True))
    assert (shown["READY"], shown["REASON"]) == ("False", "InProgress"), "nobody serves it"
    run = state.read_run(kept)
    state.write_run(kept, msgspec.structs.replace(run, sidecars={}))
    out = io.StringIO()
    assert get.run("policies", kept, "", out) == 0
    shown = dict(zip(heading.split(), out.getvalue().splitlines()[1].split(), strict=True))
    assert (shown["READY"], shown["REASON"]) == ("True", "NoModelMatches")


SETTINGS = (
    "apiVersion: llmgov.dev/v1alpha1\nkind: GovernanceSettings\nmetadata: {name: default}\n"
    "spec: {currencyRates: [{currency: EUR, usd: '1.08'}]}\n"
)
BUDGET = (
    "apiVersion: llmgov.dev/v1alpha1\nkind: Budget\nmetadata: {name: all, namespace: llm-governance}\n"
    "spec: {target: {organization: {}}, limit: '5', currency: EUR, period: Day}\n"
)


def _serve(kept: pathlib.Path, text: str) -> None:
    """As if these resources were what the process served."""
    policies = kept.parent / "policies"
    (policies / "all.yaml").write_text(text)
    loaded = folder.load(policies, prices.prices(), ["default"], 1)
    assert loaded.rejected == ()
    run = msgspec.structs.replace(
        state.read_run(kept),
        resources=loaded.documents,
        facts=facts.of(loaded.compiled),
        problems=loaded.compiled.problems,
    )
    state.write_run(kept, run)


def test_sums_say_their_currency_and_what_counts_where(kept: pathlib.Path) -> None:
    out = io.StringIO()
    assert spend.run("model", kept, "", out) == 0
    footer = " ".join(out.getvalue().partition("\n\n")[2].split())
    assert footer.startswith("Amounts are in USD. UNKNOWN is the part of SPENT")
    assert "OPEN are attempts under way, which are not among ATTEMPTS" in footer


def test_sums_as_a_document_have_numbers_and_their_total_apart(kept: pathlib.Path) -> None:
    out = io.StringIO()
    assert spend.run("team", kept, "json", out) == 0
    total = {"attempts": 0, "spent": "0.00", "unknown": "0.00", "corrected": "0.00", "open": 0, "held": "0.00"}
    document = json.loads(out.getvalue())
    assert document.pop("lostPods") == {"account": None, "spent": "0.00", "held": "0.00", "beyond": "0.00"}
    assert document == {"currency": "USD", "lines": [], "total": total, "lostLeases": []}


def test_a_range_that_ends_before_it_begins_is_an_error(kept: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match="--since must be before --until"):
        spend.run("team", kept, "", io.StringIO(), start=2, end=1)


COST_LIMIT = (
    "apiVersion: llmgov.dev/v1alpha1\nkind: LLMPolicy\nmetadata: {name: cap, namespace: llm-governance}\n"
    "spec:\n  costLimit:\n    limits: [{amount: '5', period: Day}]\n    perUser: [{amount: '1', period: Month}]\n"
)


@pytest.fixture
def capped(kept: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A state folder of a policy that limits money, and of no Budget."""
    (tmp_path / "policies" / "all.yaml").write_text(COST_LIMIT)
    loaded = folder.load(tmp_path / "policies", prices.prices(), ["default"], 1)
    assert loaded.rejected == ()
    run = state.read_run(kept)
    facts_ = facts.of(loaded.compiled)
    state.write_run(kept, msgspec.structs.replace(run, resources=loaded.documents, facts=facts_))
    return kept


def test_accounts_of_policies_and_of_each_user_are_listed(capped: pathlib.Path) -> None:
    out = io.StringIO()
    assert get.run("accounts", capped, "", out) == 0
    heading, *rows = out.getvalue().splitlines()
    order = ["LIMITED-BY", "TARGET", "LIMIT", "SPENT", "HELD", "USED", "RESETS", "STATE", "CURRENCY"]
    assert heading.split() == order
    shown = sorted((row.split()[0], row.split()[2], row.split()[7]) for row in rows)
    assert shown == [("llm-governance/cap", "1.00", "Open"), ("llm-governance/cap", "5.00", "Open")]


def test_budgets_say_that_a_policy_limits_money_too(capped: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    assert get.run("budgets", capped, "", out) == 0
    assert out.getvalue() == "No resources found\n"
    said = capsys.readouterr().err
    assert "money is limited by policies, too (llm-governance/cap); see `llmgov get accounts`" in said


def test_a_policy_at_length_shows_what_is_spent_of_its_limit(capped: pathlib.Path) -> None:
    out = io.StringIO()
    assert get.run("policies", capped, "wide", out) == 0
    heading, row = out.getvalue().splitlines()
    assert heading.split()[-3:] == ["SPENT", "USED", "STATE"]
    assert row.split()[-3:] == ["0.00", "0%", "Open"]


@pytest.mark.parametrize(
    ("name", "code"), [("models", 0), ("llm-governance/models", 0), ("modles", 1), ("other/models", 1)]
)
def test_one_resource_by_its_name(kept: pathlib.Path, name: str, code: int) -> None:
    out = io.StringIO()
    assert get.run("policies", kept, "", out, name=name) == code
    assert ("models" in out.getvalue()) is (code == 0)


def test_no_column_is_there_for_a_time_that_no_file_says(kept: pathlib.Path) -> None:
    out = io.StringIO()
    assert get.run("policies", kept, "", out) == 0
    assert "AGE" not in out.getvalue()


@pytest.mark.parametrize(
    ("wanted", "reasons"),
    [
        pytest.param(lists.Filter(), ["a", "b", "c"], id="all"),
        pytest.param(lists.Filter(policy="pii"), ["a", "b"], id="a policy by its name"),
        pytest.param(lists.Filter(policy="root/pii"), ["a"], id="a policy by its whole name"),
        pytest.param(lists.Filter(namespace="shop"), ["a", "c"], id="a namespace"),
        pytest.param(lists.Filter(since=2), ["b", "c"], id="from then on"),
        pytest.param(lists.Filter(limit=1), ["c"], id="the newest"),
        pytest.param(lists.Filter(policy="pii", limit=1), ["b"], id="the newest of a policy"),
    ],
)
def test_violations_are_chosen(kept: pathlib.Path, wanted: lists.Filter, reasons: list[str]) -> None:
    _report(kept, (1, "shop", "root/pii", "a"), (2, "batch", "other/pii", "b"), (3, "shop", "root/models", "c"))
    out = io.StringIO()
    assert get.run("violations", kept, "json", out, wanted=wanted) == 0
    assert [each["reason"] for each in json.loads(out.getvalue())] == reasons


def _report(kept: pathlib.Path, *several: tuple[int, str, str, str]) -> None:
    async def report() -> None:
        store = SqliteStore.open(kept / "ledger.db")
        for at, namespace, policy, reason in several:
            subject = Subject(namespace, "web", None, (), (), "openai", "gpt-4o", "chat.completions")
            violation = Violation(policy, Action.DENY, reason, "m")
            await Hub(store, lambda: 0).deliver([Violated(f"e/{at}", at, "req", None, subject, (violation,))])
        await store.close()

    asyncio.run(report())


def test_only_violations_are_chosen_among(kept: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match="choose among `llmgov get violations`"):
        get.run("policies", kept, "", io.StringIO(), wanted=lists.Filter(limit=1))


def test_a_list_without_names_takes_none(kept: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match="violations have no names"):
        get.run("violations", kept, "", io.StringIO(), name="x")


def test_a_search_of_the_audit_without_a_match_says_so(kept: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.run_show(io.StringIO(), state=kept, request="nobody", kind="refused") == 0
    assert capsys.readouterr().err == "llmgov: no records of kind refused of request nobody\n"
