"""docs/kubernetes.md and docs/operator.md: every session that they show is typed again, and prints what they say.

After a wanted change: `LLMGOV_GOLDEN=write pytest tests/cluster/test_kubernetes_page.py`, then read the diff.
"""

import json
import os
import re
from collections.abc import Iterator

import pytest

from llmgov.resources import KINDS
from tests.cluster import contents, operators, outputs, sessions
from tests.cluster.cluster import Cluster
from tests.cluster.sessions import Shell
from tests.support import machine

PAGES = ["docs/operator.md", "docs/kubernetes.md"]
SHOWN_BY = "v1.34."
"""The Kubernetes whose words the pages show, and of which they say so."""

TYPED = ["api-resources", "apply", "create", "delete", "describe", "diff", "edit", "events", "explain", "get", "patch",
         "wait"]  # fmt: skip
"""What administrators do with resources by kubectl, all of which the pages show."""

_FENCED = re.compile(r"^```(.*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def shell(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """In a cluster as `make cluster` leaves it."""
    if not cluster.has_audit:
        pytest.skip(f"{machine.REASON}what a cluster that was named holds may be needed, and pages end with none of it")
    versions = json.loads(cluster.kubectl("version", "--output=json"))
    shown = {versions[each]["gitVersion"] for each in ("clientVersion", "serverVersion")}
    if not all(version.startswith(SHOWN_BY) for version in shown):
        pytest.skip(f"{machine.REASON}the pages show what Kubernetes {SHOWN_BY}x says, not {shown}")
    folder = tmp_path_factory.mktemp("pages")
    _empty(cluster)
    with operators.working(cluster, f"sqlite:///{folder / 'ledger.db'}", folder):
        contents.reconcile_quickstart(cluster)
        yield Shell(cluster, folder)
        _empty(cluster)


def _empty(cluster: Cluster) -> None:
    """Delete what other tests left, and what pages make."""
    kinds = ",".join(f"{kind.naming.plural}.llmgov.dev" for kind in KINDS.values())
    cluster.kubectl("delete", kinds, "--all", "--all-namespaces")
    cluster.kubectl("delete", "--ignore-not-found", "--filename", str(contents.QUICKSTART / "credentials.yaml"))
    made = ("secret/llmgov-database", "deployment/llmgov-operator")
    cluster.kubectl("delete", "--ignore-not-found", "--namespace", operators.NAMESPACE, *made)


@pytest.mark.parametrize("name", PAGES)
def test_what_the_page_shows_is_what_is_printed(shell: Shell, name: str) -> None:
    page = sessions.ROOT / name
    if os.environ.get("LLMGOV_GOLDEN") == "write":
        text = page.read_text()
        page.write_text(sessions.rewritten(text, map(shell.print_anew, sessions.steps(text))))
        return
    for step in sessions.steps(page.read_text()):
        assert outputs.lines(shell.repeat(step)) == outputs.lines(step.printed), f"$ {step.command}"


def test_the_pages_show_all_that_administrators_do() -> None:
    commands = [step.command for name in PAGES for step in sessions.steps((sessions.ROOT / name).read_text())]
    assert sorted({verb for each in commands for verb in re.findall(r"kubectl (\S+)", each)}) == TYPED


@pytest.mark.parametrize("name", PAGES)
def test_no_command_is_shown_that_is_not_typed_again(name: str) -> None:
    others = [text for kind, text in _FENCED.findall((sessions.ROOT / name).read_text()) if kind != "shell-session"]
    assert not [text for text in others if re.search(r"^(\$|kubectl |llmgov )", text, re.MULTILINE)]


DESCRIBED = """\
Metadata:
  Creation Timestamp:  2026-11-24T18:13:30Z
  Resource Version:    887
  UID:                 3681fd41-037a-4dbb-b1f0-81d0c3fcdfaf
Spec:
  Max Wait:  5s
Status:
  Window:
    End:    2026-11-30T23:00:00Z
    Start:  2026-10-31T23:00:00Z
Events:
  Type     Reason       Age   From             Message
  ----     ------       ----  ----             -------
  Warning  UnknownTeam  6s    llmgov-operator  there is no Team payments
  Normal   Accepted     1s    llmgov-operator  Accepted is True
"""

LISTED = """\
NAME       RESETS                 STATE   AGE   SPENT
payments   2026-11-30T23:00:00Z   Open    9s    5
"""

LEASED = """\
NAME              HOLDER              AGE
llmgov-operator   operator_3f9a01bc   10s
"""

COMPARED = """\
--- /tmp/LIVE-2232031665/llmgov.dev.v1alpha1.Budget\t2026-11-24 18:08:35.109095918 +0000
   resourceVersion: "505"
   uid: 273105d8-8c77-4c28-aec1-5f02bf5abe5c
-  limit: "5000"
"""


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        pytest.param(DESCRIBED, "3681fd41", "4681fd42", id="a UID"),
        pytest.param(DESCRIBED, " 887", " 12887", id="a resource version"),
        pytest.param(DESCRIBED, "24T18:13:30", "25T08:01:00", id="a time"),
        pytest.param(DESCRIBED, "  6s    llm", "  10m   llm", id="an age"),
        pytest.param(
            DESCRIBED, "2026-11-30T23:00:00Z\n    Start:  2026-10-31", "2027-03-31T22:00:00Z\n    Start:  2027-02-28",
            id="the month, in summer time, too",
        ),
        pytest.param(LISTED, "2026-11-30", "2026-12-31", id="the month in a table"),
        pytest.param(LISTED, "AGE   SPENT\n", "AGE     SPENT\n", id="the width of a column"),
        pytest.param(LISTED, "9s    5", "3m9s  5", id="an age in a table"),
        pytest.param(LEASED, "3f9a01bc", "00c0ffee", id="which process of a replica leads"),
        pytest.param(COMPARED, "LIVE-2232031665", "LIVE-7", id="a temporary folder"),
        pytest.param(COMPARED, "18:08:35.109095918", "19:00:00.000000000", id="a temporary file's time"),
        pytest.param(COMPARED, '"505"', '"12"', id="a resource version in YAML"),
    ],
)  # fmt: skip
def test_what_differs_from_one_time_to_the_next_is_hidden(text: str, old: str, new: str) -> None:
    assert old in text
    assert outputs.same(text, text.replace(old, new))


def test_events_may_come_in_another_order() -> None:
    *before, first, second = DESCRIBED.splitlines()
    assert outputs.same(DESCRIBED, "\n".join([*before, second, first]))


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        pytest.param(DESCRIBED, "there is no Team", "there is a Team", id="a word"),
        pytest.param(DESCRIBED, "UnknownTeam", "UnknownTeams", id="a reason"),
        pytest.param(DESCRIBED, "Warning", "Normal", id="a type"),
        pytest.param(DESCRIBED, "  Max Wait:  5s", "  Max Wait:  6s", id="a duration that is no age"),
        pytest.param(DESCRIBED, "  Max Wait", "    Max Wait", id="the place in a document"),
        pytest.param(DESCRIBED, "11-30T23:00:00Z\n", "12-31T23:00:00Z\n", id="a window of two months"),
        pytest.param(DESCRIBED, "-30T23:00:00Z\n", "-30T22:00:00Z\n", id="a window that ends an hour too early"),
        pytest.param(DESCRIBED, "3681fd41-", "", id="half a UID"),
        pytest.param(DESCRIBED, " 887", " unknown", id="no version"),
        pytest.param(DESCRIBED, "  6s  ", "  -6s ", id="a negative age"),
        pytest.param(DESCRIBED, "  Normal   Accepted     1s    llmgov-operator  Accepted is True\n", "", id="an event"),
        pytest.param(LISTED, "2026-11-30T23", "2026-12-01T00", id="another time zone"),
        pytest.param(LISTED, "STATE", "STATES", id="a heading"),
        pytest.param(LISTED, "   AGE", "", id="a column"),
        pytest.param(LISTED, "   9s    5", "   9s", id="a cell"),
        pytest.param(LISTED, "9s", "<unknown>", id="no age"),
        pytest.param(LEASED, "operator_3", "hub_3", id="which replica leads"),
        pytest.param(LEASED, "_3f9a01bc", "", id="a holder without its process"),
        pytest.param(COMPARED, "LIVE", "OTHER", id="which file"),
        pytest.param(COMPARED, "5000", "6000", id="a value"),
    ],
)
def test_whatever_else_differs_is_noticed(text: str, old: str, new: str) -> None:
    assert old in text
    assert not outputs.same(text, text.replace(old, new))


PAGE = "# A\n\n```shell-session\n$ one\n1\n\n1\n$ two\n```\n\n```text\n$ no\n```\n\n```shell-session\n$ three\n3\n```\n"


def test_a_page_s_sessions_are_read_and_written_command_by_command() -> None:
    assert sessions.steps(PAGE) == [("one", "1\n\n1\n"), ("two", ""), ("three", "3\n")]
    changed = sessions.rewritten(PAGE, ["", "2\n", "4\n"])
    assert changed == PAGE.replace("$ one\n1\n\n1\n$ two\n", "$ one\n$ two\n2\n").replace("3\n", "4\n")
    assert sessions.rewritten(PAGE, [step.printed for step in sessions.steps(PAGE)]) == PAGE


def test_output_before_a_prompt_is_no_session() -> None:
    with pytest.raises(AssertionError, match="begins with its prompt"):
        sessions.steps("```shell-session\nlost\n$ one\n```\n")
