"""The commands over a ledger in PostgreSQL, as an administrator's shell runs them; and which ledger a command takes."""

import asyncio
import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from llmgov.audit import signing
from llmgov.ledger.messages import Charged, LeaseGrant, LeaseRefusal, LeaseRequest, Need, Outcome
from llmgov.snapshot import OrganizationPart, Period, Target, TargetKind, Threshold, ThresholdAction
from llmgov_cli import errors, sources
from llmgov_cli.hub import DATABASE_URL
from llmgov_hub.checkpoints import Checkpoints
from llmgov_hub.hub import Hub
from llmgov_store.postgres.store import PostgresStore
from tests.support import ledgers, machine, postgres
from tests.support.ledgers import CENT, USD

SIGNER = signing.Signer(bytes(range(32)))
APPROVAL = (Threshold(50, (ThresholdAction.REQUIRE_APPROVAL,)), Threshold(100, (ThresholdAction.BLOCK,)))
TEAM = ledgers.account(period=Period.YEAR, limit=2 * USD, thresholds=APPROVAL)
USERS = msgspec.structs.replace(
    ledgers.account(Target(TargetKind.USER), period=Period.YEAR, limit=7_500_000), source="Budget/llm-governance/people"
)
ATTEMPT = "pod-1:1/1"


class _Nowhere:
    """An anchor for a test that needs none."""

    async def keep(self, checkpoints: object) -> None:
        """Keep nothing."""


async def _fill(url: str) -> None:
    """A team beyond the half of its budget, with one attempt whose usage nobody learnt."""
    store = await PostgresStore.open(url)
    clock = await store.clock()
    hub = Hub(store, clock, writer="hub-1")
    await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(TEAM, USERS))})
    who = ledgers.subject(user="jane", path=(*ledgers.PATH, "user/jane"))
    needs = (Need(TEAM.key, TEAM, 90 * CENT, 90 * CENT), Need(f"{USERS.key}|jane", USERS, 90 * CENT, 90 * CENT))
    grant = await ledgers.lease(hub, LeaseRequest(ledgers.epoch(), 1, needs, who.path))
    assert isinstance(grant, LeaseGrant)
    charged = tuple(Charged(lease.id, lease.key, 90 * CENT) for lease in grant.leases)
    await hub.deliver([ledgers.intent(ATTEMPT, 90 * CENT, charged, at=clock(), who=who)])
    await hub.deliver([ledgers.settlement(ATTEMPT, 90 * CENT, at=clock(), outcome=Outcome.UNKNOWN)])
    refused = await ledgers.lease(hub, LeaseRequest(ledgers.epoch(), 2, needs[:1], ledgers.PATH))
    assert isinstance(refused, LeaseRefusal)
    assert refused.approval is not None
    await Checkpoints(store, SIGNER, _Nowhere(), clock).sign()
    await store.close()


@pytest.fixture(scope="module")
def database() -> Iterator[postgres.Database]:
    with postgres.kept_database() as opened:
        asyncio.run(_fill(opened.hub))
        yield opened


def _run(*words: str, url: str | None = None, folder: pathlib.Path | None = None, **more: str) -> tuple[int, str, str]:
    """Run `llmgov` as a process of its own; `url` is in its environment."""
    environment = {name: value for name, value in os.environ.items() if name != DATABASE_URL} | more
    if url is not None:
        environment[DATABASE_URL] = url
    command = [sys.executable, "-m", "llmgov_cli.main", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def _json(*words: str, url: str) -> Any:
    code, out, err = _run(*words, "-o", "json", url=url)
    assert (code, err) == (0, "")
    return json.loads(out)


def _table(text: str) -> list[dict[str, str]]:
    headings, *rows = (line.split() for line in text.splitlines())
    return [dict(zip(headings, row, strict=True)) for row in rows]


@machine.requires("postgres")
class TestOverADatabase:
    """With the role of a report, which may not write, wherever that is enough."""

    def test_budgets_are_shown_as_a_cluster_shows_them(self, database: postgres.Database) -> None:
        code, out, err = _run("get", "budgets", url=database.reader)
        assert (code, err) == (0, "")
        (row,) = [row for row in _table(out) if row["TARGET"] == "team/payments"]
        shown = {name: row[name] for name in ("NAMESPACE", "NAME", "LIMIT", "SPENT", "HELD", "USED", "STATE")}
        assert shown == {
            "NAMESPACE": "llm-governance",
            "NAME": "payments",
            "LIMIT": "2.00",
            "SPENT": "0.90",
            "HELD": "0.00",
            "USED": "45%",
            "STATE": "Open",
        }
        assert sorted(row["TARGET"] for row in _table(out)) == ["team/payments", "user/jane"]

    def test_a_budget_as_a_document_is_what_was_applied(self, database: postgres.Database) -> None:
        items = _json("get", "budgets", url=database.reader)["items"]
        team = next(item for item in items if item["status"]["target"] == "team/payments")
        assert team["spec"] == {
            "target": {"team": "payments"},
            "limit": "2",
            "currency": "USD",
            "period": "Year",
            "timeZone": "UTC",
            "thresholds": [
                {"percent": 50, "actions": ["RequireApproval"]},
                {"percent": 100, "actions": ["Block"]},
            ],
        }

    def test_the_url_on_the_command_line_takes_its_password_from_elsewhere(self, database: postgres.Database) -> None:
        bare, password = _without_password(database.reader)
        code, out, _ = _run("spend", "--by", "user", "--database", bare, PGPASSWORD=password)
        assert code == 0
        assert out.splitlines()[1].split() == ["jane", "1", "0.90", "0.90", "0.00", "0", "0.00"]

    def test_other_resources_are_not_in_a_database(self, database: postgres.Database) -> None:
        code, _, err = _run("get", "policies", url=database.reader)
        assert code == 2
        assert "a database has budgets and accounts, violations, outbox, snapshots only" in err
        assert "kubectl get llmpolicies.llmgov.dev -A" in err

    def test_lists_are_those_of_the_database(self, database: postgres.Database) -> None:
        assert [row["target"] for row in _json("get", "accounts", url=database.reader)] == [
            "team/payments",
            "user/jane",
        ]
        assert [row["part"] for row in _json("get", "snapshots", url=database.reader)] == ["organization"]
        assert _json("get", "violations", url=database.reader) == []

    def test_money_is_found_corrected_and_on_record(self, database: postgres.Database) -> None:
        (found,) = _json("spend", "unknown", url=database.reader)["attempts"]
        words = ("spend", "correct", found["attempt"], "--cost", "0.25", "--reason", "bill of November")
        made = _json(*words, url=database.hub)
        changes = {row["account"]: (row["spentBefore"], row["spentAfter"]) for row in made["accounts"]}
        assert set(changes.values()) == {("0.90", "0.25")}
        assert len(changes) == 2
        (row,) = _json("spend", "corrections", url=database.reader)
        assert row["id"] == made["correction"]["id"]
        (shown,) = _json("audit", "show", "--kind", "corrected", url=database.hub)
        assert (shown["record"], shown["before"], shown["after"]) == ("cli#1", 900_000, 250_000)

    def test_who_may_only_read_corrects_nothing_and_is_told_who_may(self, database: postgres.Database) -> None:
        words = ("spend", "correct", ATTEMPT, "--cost", "1", "--reason", "x")
        code, _, err = _run(*words, url=database.reader)
        assert code == 2
        assert "permission denied" in err
        assert err.endswith("changing the ledger takes a login of the role llmgov_hub; nothing was changed\n")

    @pytest.mark.parametrize("words", [("get", "budgets"), ("audit", "show")], ids=["get", "audit"])
    def test_who_may_not_even_read_is_told_who_may(self, database: postgres.Database, words: tuple[str, ...]) -> None:
        asyncio.run(postgres.execute(database.owner, "REVOKE SELECT ON llmgov.schema_version FROM llmgov_reader"))
        try:
            code, _, err = _run(*words, url=database.reader)
        finally:
            asyncio.run(postgres.execute(database.owner, "GRANT SELECT ON llmgov.schema_version TO llmgov_reader"))
        assert code == 2
        assert "permission denied" in err
        assert "reading the ledger takes a login of the role llmgov_reader" in err
        assert "llmgov_hub" not in err

    def test_an_approval_is_granted_on_record(self, database: postgres.Database) -> None:
        (row,) = _json("approvals", "list", url=database.reader)
        code, out, _ = _run("approvals", "approve", row["id"], "--reason", "month's end", url=database.hub)
        assert (code, out.split()[:2]) == (0, [row["id"], "approved:"])
        (row,) = _json("approvals", "list", url=database.reader)
        assert (row["state"], row["reason"]) == ("approved", "month's end")
        assert _run("approvals", "deny", row["id"], url=database.hub)[0] == 2
        (shown,) = _json("audit", "show", "--kind", "approvalDecided", url=database.hub)
        assert shown["record"].startswith("cli#")

    def test_the_record_is_verified_by_a_pinned_key_and_exported(
        self, database: postgres.Database, tmp_path: pathlib.Path
    ) -> None:
        pin, target = tmp_path / "hub.pub", tmp_path / "export.jsonl"
        pin.write_text(f"{SIGNER.public.hex()}\n")
        code, out, err = _run("audit", "verify", "--pin", str(pin), url=database.reader)
        assert code == 0, err
        assert "as the ledger has them" in out
        assert _run("audit", "export", str(target), url=database.hub)[0] == 0
        assert _run("audit", "verify", str(target), "--pin", str(pin))[0] == 0
        code, _, err = _run("audit", "verify", url=database.reader)
        assert (code, "a database proves nothing without the public key that you trust" in err) == (2, True)

    def test_who_may_not_read_keys_sees_the_record_with_personal_fields_sealed(
        self, database: postgres.Database
    ) -> None:
        code, out, err = _run("audit", "show", "--kind", "intent", "-o", "json", url=database.reader)
        assert code == 0
        assert (
            err == "llmgov: personal fields stay sealed for this role; a login of the role llmgov_hub may open them\n"
        )
        (sealed,), (shown,) = json.loads(out), _json("audit", "show", "--kind", "intent", url=database.hub)
        assert (sealed["subject"]["user"] == "jane", shown["subject"]["user"]) == (False, "jane")

    def test_an_explicit_state_folder_is_taken_in_place_of_the_environments_database(
        self, database: postgres.Database, tmp_path: pathlib.Path
    ) -> None:
        code, _, err = _run("spend", "--state", str(tmp_path), url=database.reader)
        assert (code, "is no state folder of local mode" in err) == (2, True)


def _without_password(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}@{host}").geturl(), parts.password or ""


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hub:s3cret@db:5432/llmgov",
        "postgresql://hub:@db:5432/llmgov",
        "postgresql://db/llmgov?user=hub&password=s3cret",
        "postgresql://db/llmgov?sslpassword=s3cret",
    ],
)
def test_a_password_in_an_argument_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(errors.CommandError, match="set LLMGOV_DATABASE_URL to the whole URL instead") as raised:
        sources.chosen(None, url, {})
    assert "s3cret" not in str(raised.value)


def test_two_ledgers_are_one_too_many(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match="--state and --database name two ledgers"):
        sources.chosen(tmp_path, "postgresql://db/llmgov", {})


def test_the_argument_is_taken_in_place_of_the_environment() -> None:
    environment = {DATABASE_URL: "postgresql://hub:s3cret@a/llmgov"}
    assert sources.chosen(None, "postgresql://hub@b/llmgov", environment) == sources.Database(
        "postgresql://hub@b/llmgov"
    )
    assert sources.chosen(None, None, environment) == sources.Database(environment[DATABASE_URL])
    assert "s3cret" not in repr(sources.chosen(None, None, environment))
    assert sources.chosen(None, None, {}) is None


def test_an_option_before_the_command_is_not_taken_for_the_commands(tmp_path: pathlib.Path) -> None:
    words = ("spend", "--state", str(tmp_path), "correct", ATTEMPT, "--cost", "1", "--reason", "x")
    code, _, err = _run(*words, folder=tmp_path)
    assert (code, err) == (2, "llmgov: spend correct: its options stand behind it\n")


@pytest.mark.parametrize("url", ["llmgov", "mysql://db/llmgov", "postgresql://[::1/llmgov"])
def test_what_is_no_url_of_a_database_is_said(url: str, tmp_path: pathlib.Path) -> None:
    code, _, err = _run("spend", "--database", url, folder=tmp_path)
    assert code == 2
    assert err.startswith("llmgov: the database's URL cannot be read: write postgresql://")


def test_a_database_that_does_not_answer_is_said(tmp_path: pathlib.Path) -> None:
    code, _, err = _run("get", "budgets", "--database", "postgresql://hub@127.0.0.1:1/llmgov", folder=tmp_path)
    assert code == 2
    assert err.startswith("llmgov: cannot connect to the ledger's database")
