"""The audit of a whole run with refusals of every kind: no sidecar's numbers are missing in it."""

import json
import pathlib

from tests.support import localmode


def test_the_quickstarts_audit_has_no_gap(tmp_path: pathlib.Path) -> None:
    played = localmode.command("local", localmode.QUICKSTART, "--state", tmp_path / "state", "--once")
    assert played.returncode == 0, played.stdout
    verified = localmode.command("audit", "verify", "--state", tmp_path / "state", "-o", "json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["gaps"] == []
