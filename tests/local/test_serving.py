"""Local mode as a user sees it: saved files are enforced, broken ones are not, decisions are taken from outside."""

import json
import pathlib
import threading
import time
import urllib.request

import openai
import pytest

from tests.support import localmode

SLOW_STREAM = "mock: pace 150ms\nmock: say " + "word " * 12
QUESTION = [{"role": "user", "content": "Say hello"}]


def _client(port: int) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="placeholder", max_retries=0)


def _ask(client: openai.OpenAI, model: str = "gpt-4o-mini") -> str:
    answer = client.chat.completions.create(model=model, messages=QUESTION, max_completion_tokens=20)
    return answer.choices[0].message.content or ""


def _until(client: openai.OpenAI, expected: type[Exception] | None, seconds: float = 1.0) -> float:
    """How long it takes until a question is refused with `expected` (or, for `None`, answered)."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            _ask(client)
        except openai.APIStatusError as error:
            if expected is not None and isinstance(error, expected):
                return time.monotonic() - began
        else:
            if expected is None:
                return time.monotonic() - began
    raise AssertionError(f"not enforced within {seconds} s")


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    return localmode.copy_of(localmode.QUICKSTART, tmp_path / "folder")


def _deny(folder: pathlib.Path, pattern: str) -> None:
    text = (localmode.QUICKSTART / "policies.yaml").read_text()
    (folder / "policies.yaml").write_text(text.replace('deny: ["*-preview"]', f'deny: ["{pattern}"]'))


def test_a_saved_file_is_enforced_within_a_second_and_streams_under_way_are_unharmed(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with localmode.serving(folder, tmp_path / "state") as local, _client(local.port()) as client:
        stream = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": SLOW_STREAM}],
            stream=True,
            max_completion_tokens=99,
        )
        received: list[str] = []
        reader = threading.Thread(
            target=lambda: received.extend(each.choices[0].delta.content or "" for each in stream)
        )
        assert _ask(client) == "You said: Say hello"
        reader.start()
        _deny(folder, "openai/gpt-4o-mini")
        _until(client, openai.PermissionDeniedError)
        assert reader.is_alive(), "the stream must still be running when the policy is in force"
        reader.join(20)
        assert "".join(received).split() == ["word"] * 12
        _deny(folder, "*-preview")
        _until(client, None)


def test_a_broken_file_leaves_the_last_good_configuration_in_force_and_is_said(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with localmode.serving(folder, tmp_path / "state") as local, _client(local.port()) as client:
        _deny(folder, "openai/gpt-4o-mini")
        _until(client, openai.PermissionDeniedError)
        (folder / "policies.yaml").write_text("apiVersion: llmgov.dev/v1alpha1\nkind: LLMPolicy\nspec: [broken\n")
        until = time.monotonic() + 5
        while not local.run().rejected and time.monotonic() < until:
            time.sleep(0.02)
        with pytest.raises(openai.PermissionDeniedError):
            _ask(client)
        shown = localmode.command("get", "policies", "--state", local.state_folder)
        assert "not in force" in shown.stderr
        assert "policies.yaml:" in shown.stderr
        assert "models" in shown.stdout, "what is in force is still listed"
        log = (local.state_folder / "log.jsonl").read_text()
        assert "configuration rejected" in log
        (folder / "policies.yaml").write_text((localmode.QUICKSTART / "policies.yaml").read_text())
        _until(client, None)
        assert "not in force" not in localmode.command("get", "policies", "--state", local.state_folder).stderr


def test_an_emptied_file_loosens_nothing_and_a_deleted_one_counts(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with localmode.serving(folder, tmp_path / "state") as local, _client(local.port()) as client:
        _deny(folder, "openai/gpt-4o-mini")
        _until(client, openai.PermissionDeniedError)
        (folder / "policies.yaml").write_text("")
        until = time.monotonic() + 5
        while not local.run().rejected and time.monotonic() < until:
            with pytest.raises(openai.PermissionDeniedError):
                _ask(client)
        assert "policies.yaml:1: is empty now" in local.run().rejected[0]
        with pytest.raises(openai.PermissionDeniedError):
            _ask(client)
        shown = localmode.command("get", "policies", "--state", local.state_folder)
        assert "llmgov: not in force: " in shown.stderr
        assert "policies.yaml:1: is empty now" in shown.stderr
        (folder / "policies.yaml").unlink()
        _until(client, None)


def test_an_approval_given_from_outside_lets_the_same_request_pass_once(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (folder / "policies.yaml").write_text(
        (folder / "policies.yaml").read_text().replace("anthropic/claude-opus-*", "openai/gpt-4o")
    )
    with localmode.serving(folder, tmp_path / "state") as local, _client(local.port()) as client:
        with pytest.raises(openai.PermissionDeniedError, match="requires approval"):
            _ask(client, "gpt-4o")
        time.sleep(0.5)
        listed = localmode.command("approvals", "list", "--state", local.state_folder, "-o", "json")
        (pending,) = json.loads(listed.stdout)
        assert pending["state"] == "pending"
        decided = localmode.command(
            "approvals", "approve", pending["id"], "--reason", "ok", "--state", local.state_folder
        )
        assert decided.returncode == 0, decided.stderr
        until = time.monotonic() + 5
        answer = None
        while answer is None and time.monotonic() < until:
            try:
                answer = _ask(client, "gpt-4o")
            except openai.PermissionDeniedError:
                time.sleep(0.05)
        assert answer == "You said: Say hello"
        anew = f"{pending['id']}-2"
        with pytest.raises(openai.PermissionDeniedError, match=f"`llmgov approvals approve {anew}`"):
            _ask(client, "gpt-4o")
        pasted = localmode.command("approvals", "approve", pending["id"], "--state", local.state_folder)
        assert "is used already" in pasted.stderr, "an old command grants nothing a second time"
        denial = ("approvals", "deny", anew, "--reason", "too dear", "--state", local.state_folder)
        until = time.monotonic() + 5
        while (denied := localmode.command(*denial)).returncode and time.monotonic() < until:
            time.sleep(0.05)
        assert denied.returncode == 0, "one request after the use asks anew"
        until, told = time.monotonic() + 5, ""
        while "was denied: too dear" not in told and time.monotonic() < until:
            with pytest.raises(openai.PermissionDeniedError) as caught:
                _ask(client, "gpt-4o")
            told = str(caught.value)
        assert f"{anew} was denied: too dear" in told
        again = localmode.command("approvals", "approve", pending["id"], "--state", local.state_folder)
        assert again.returncode == 2
        assert again.stderr.startswith("llmgov: ")


def test_a_signal_ends_it_with_everything_on_record(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with localmode.serving(folder, tmp_path / "state") as local:
        with _client(local.port()) as client:
            for _ in range(3):
                _ask(client)
        assert local.stop() == 0
        verified = localmode.command("audit", "verify", "--state", local.state_folder)
        assert verified.returncode == 0, verified.stdout
        assert "settled attempts: 3" in verified.stdout
        held = localmode.command("get", "budgets", "--state", local.state_folder, "-o", "json")
        assert [each["status"]["held"] for each in json.loads(held.stdout)["items"]] == ["0.00", "0.00"]


def test_each_sidecar_shows_its_own_metrics_on_a_port_of_loopback(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with localmode.serving(folder, tmp_path / "state", "payments/checkout", "batch/reports") as local:
        with _client(local.port("payments/checkout")) as client:
            _ask(client)
        counted = {}
        for workload, address in local.run().metrics.items():
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - an address of ours
                counted[workload] = 'model="gpt-4o-mini"' in answer.read().decode()
    assert counted == {"payments/checkout": True, "batch/reports": False}


def test_a_folder_that_is_not_valid_does_not_start(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (folder / "more.yaml").write_text("apiVersion: llmgov.dev/v1alpha1\nkind: Bugdet\nmetadata: {name: x}\n")
    started = localmode.command("local", folder, "--state", tmp_path / "state")
    assert started.returncode == 2
    assert "more.yaml:2" in started.stderr
    assert "did you mean Budget?" in started.stderr


def test_two_processes_do_not_serve_one_state_folder(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with localmode.serving(folder, tmp_path / "state") as local:
        done = localmode.command("local", folder, "--state", local.state_folder, "--as", "default/default=0", "--once")
        assert done.returncode == 2
        assert f"{local.state_folder} is served by process {local.process.pid}; name another --state" in done.stderr
        assert local.stop() == 0
    assert localmode.command("audit", "verify", "--state", local.state_folder).returncode == 0
