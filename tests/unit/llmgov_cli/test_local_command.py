"""`llmgov local`: wrong arguments end it with one sentence, and what is probably not meant is said."""

import pathlib
import socket
import sqlite3

import pytest

from llmgov_cli import errors, traffic
from llmgov_cli.local import command, workloads


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        pytest.param(["a/b"], r"--as a/b: write NAMESPACE/SERVICEACCOUNT=PORT", id="no port"),
        pytest.param(["a/b=70000"], r"--as a/b=70000: write NAMESPACE", id="a port beyond all ports"),
        pytest.param(["a/b=²"], r"--as a/b=²: write NAMESPACE", id="a digit that is no number"),
        pytest.param(["a=1"], r"--as a=1: must be NAMESPACE/SERVICEACCOUNT, such", id="no ServiceAccount"),
        pytest.param(["Shop/web=1"], r"--as Shop/web=1: the namespace 'Shop' must be at most 63", id="capitals"),
        pytest.param(["a.b/web=1"], r"--as a\.b/web=1: the namespace 'a\.b' must be", id="a dot in a namespace"),
        pytest.param(["a/b/c=1"], r"--as a/b/c=1: the ServiceAccount 'b/c' must be", id="one slash too many"),
        pytest.param(["../../x/web=1"], r"the namespace '\.\.' must be", id="a path"),
        pytest.param(["a/b=1", "a/b=2"], r"--as a/b=2: a/b is given twice; a workload has one port", id="twice"),
    ],
)
def test_a_workload_that_is_none_is_an_error(given: list[str], sentence: str) -> None:
    with pytest.raises(errors.CommandError, match=sentence):
        workloads.ports(given, None, once=False)


def test_workloads_of_the_traffic_get_any_free_port_unless_one_was_given() -> None:
    steps = traffic.Traffic((traffic.Step("x", workload="a/b"), traffic.Step("y", workload="a/c.d")))
    assert workloads.ports(["a/b=1"], steps, once=True) == {"a/b": 1, "a/c.d": 0}
    assert workloads.ports([], None, once=False) == {"default/default": 4010}
    assert workloads.ports([], None, once=True) == {"default/default": 0}


@pytest.mark.parametrize("state", ["file", "file/below", "/proc/nope"])
def test_a_state_folder_that_cannot_be_made_is_an_error(tmp_path: pathlib.Path, state: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "policies").mkdir()
    with pytest.raises(errors.CommandError, match=r"--state .* cannot be made a folder: "):
        command.run(tmp_path / "policies", [], tmp_path / state, playing=True, once=True)


@pytest.mark.parametrize("state", [".", "below", "below/it", "../folder/below", "link"])
def test_state_is_not_kept_among_the_yaml(tmp_path: pathlib.Path, state: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(folder)
    with pytest.raises(errors.CommandError, match=r"keys would be written among its YAML; name a folder elsewhere"):
        command.run(folder, [], folder / state, playing=False, once=True)
    assert [each.name for each in folder.iterdir()] == ["link"]


@pytest.mark.parametrize("state", [".state", ".a/b"])
def test_a_hidden_folder_may_hold_state_and_nothing_to_play_is_said(
    tmp_path: pathlib.Path, state: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command.run(tmp_path, [], tmp_path / state, playing=True, once=True) == 0
    out, said = capfd.readouterr()
    assert f"llmgov: no traffic.yaml in {tmp_path}: nothing to play" in said
    assert "holds no resource, so nothing is governed" in said
    assert "$ llmgov get budgets\nNo resources found\n" in out, "the tables are printed all the same"
    assert "$ llmgov audit verify\n" in out
    assert out.endswith("\nNothing was played; the record verifies.\n")


def test_a_folder_of_other_things_is_not_taken_for_state(tmp_path: pathlib.Path) -> None:
    place, other = tmp_path / "policies", tmp_path / "examples"
    for each in (place, other):
        each.mkdir()
    (other / "notes.txt").touch()
    with pytest.raises(errors.CommandError, match="holds other things and no state of local mode; name an empty"):
        command.run(place, [], other, playing=True, once=True)
    assert [each.name for each in other.iterdir()] == ["notes.txt"]
    (other / "notes.txt").unlink()
    assert command.run(place, [], other, playing=True, once=True) == 0, "an empty folder may become one"
    (other / "notes.txt").touch()
    assert command.run(place, [], other, playing=True, once=True) == 0, "and stays one"


def test_without_anything_to_play_a_record_that_does_not_verify_is_a_failure(tmp_path: pathlib.Path) -> None:
    kept = tmp_path / ".state"
    assert command.run(tmp_path, [], kept, playing=True, once=True) == 0
    connection = sqlite3.connect(kept / "ledger.db")
    with connection:
        statement = "UPDATE records SET data = CAST(replace(data, 'organization', 'else') AS BLOB)"
        assert connection.execute(statement).rowcount == 3
    connection.close()
    assert command.run(tmp_path, [], kept, playing=True, once=True) == 1


def test_the_commands_that_look_name_the_state_folder_where_one_was_given() -> None:
    assert command.looking(None)[0] == "`llmgov get budgets`"
    assert command.looking(pathlib.Path("my state"))[0] == "`llmgov get budgets --state 'my state'`"


def test_a_port_that_is_taken_is_said_with_what_to_choose(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = rf"port {port} for a/b: .*; choose another with --as a/b=0 \(0: any free one\)"
        with pytest.raises(errors.CommandError, match=sentence):
            command.run(tmp_path, [f"a/b={port}"], tmp_path / ".state", playing=False, once=True)


def test_where_metrics_are_is_among_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    command._say_where({"shop/web": 4010}, {"shop/web": "http://127.0.0.1:9/metrics"}, None, None)
    assert "\nMetrics of shop/web: http://127.0.0.1:9/metrics\n" in capsys.readouterr().out
