"""What holds for every run: no property fails for its time, and the end says what this machine could not do.

In CI no other skip is allowed.
"""

import os

import hypothesis
import pytest

from tests.support import machine

_USUAL = hypothesis.settings()
"""Hypothesis's own, which are others in CI."""

hypothesis.settings.register_profile(
    "suite",
    parent=_USUAL,
    # Both go by the wall clock, which says how busy the machine is: speed has tests of its own in tests/bench.
    deadline=None,
    suppress_health_check={*_USUAL.suppress_health_check, hypothesis.HealthCheck.too_slow},
)
hypothesis.settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the cluster that the cluster tests are to use (see tests/cluster/ways.py)."""
    parser.addoption("--kubeconfig", metavar="FILE", help="use this Kubernetes cluster, as its administrator")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marks of the cluster tests."""
    config.addinivalue_line("markers", "cluster_versions: holds on every supported Kubernetes (make test-versions)")


def _skips(terminal: pytest.TerminalReporter) -> list[tuple[str, str]]:
    found = []
    for report in terminal.stats.get("skipped", []):
        longrepr = report.longrepr
        reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
        found.append((report.nodeid, reason.removeprefix("Skipped: ")))
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what could not run and why; an empty list is said, too."""
    skips = _skips(terminalreporter)
    terminalreporter.section("what this machine could not run")
    for nodeid, reason in skips:
        terminalreporter.line(f"NOT RUN  {nodeid}: {reason}", red=True, bold=True)
    if not skips:
        terminalreporter.line("nothing: every test ran")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a test may be skipped only because the machine cannot run it."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or not os.environ.get("CI"):
        return
    if any(not reason.startswith(machine.REASON) for _, reason in _skips(terminal)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
