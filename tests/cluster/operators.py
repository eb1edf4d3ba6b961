"""Operators as processes, with the rights of their own ServiceAccount and no others."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.cluster.cluster import Cluster
from tests.support.exposition import Scrape

MANIFESTS = pathlib.Path(__file__).parents[2] / "manifests" / "operator"

NAMESPACE = "llm-governance"
"""The root namespace."""

ACCOUNT = "system:serviceaccount:llm-governance:llmgov-operator"
"""Who the operator is to the API server."""

_ROOT = pathlib.Path(__file__).parents[2]
_START_SECONDS = 60


def install(cluster: Cluster) -> pathlib.Path:
    """Apply the root namespace, the ServiceAccount and its rights; a kubeconfig with its token."""
    for name in ("namespace.yaml", "rbac.yaml"):
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", str(MANIFESTS / name))
    return cluster.service_account_kubeconfig(NAMESPACE, "llmgov-operator")


class Operator:
    """One replica."""

    def __init__(self, name: str, log: pathlib.Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        self.port = _free_port()
        own = {"POD_NAME": name, "LLMGOV_ADMIN_HOST": "127.0.0.1", "LLMGOV_ADMIN_PORT": str(self.port)}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "llmgov_cli.main", "operator"],
                env={**os.environ, **environment, **own},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=_ROOT,
            )

    def ask(self, path: str) -> tuple[int, str]:
        """GET of the admin port: the status and the text; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        lines = self.ask("/metrics")[1].splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def objects(self, kind: str) -> float:
        """How many objects of a kind it knew at its last configuration."""
        return Scrape(self.ask("/metrics")[1]).total("llmgov_operator_objects", kind=kind)

    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def said(self, text: str) -> bool:
        """Whether it logged a message that has this in it."""
        return any(text in line["message"] for line in self.lines())

    def wait(self, what: str, condition: Callable[[], bool], seconds: float = _START_SECONDS) -> float:
        """Wait for a condition; after how many seconds it held. Raises AssertionError with its log otherwise."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds or self.process.poll() is not None:
                raise AssertionError(f"{what}: not within {seconds} s\n{self.log.read_text()[-6000:]}")
            time.sleep(0.05)
        return time.monotonic() - began

    def is_working(self) -> bool:
        """Whether it leads and knows everything."""
        return self.said("everything is known") and self.ask("/readyz")[0] == 200

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextlib.contextmanager
def started(name: str, folder: pathlib.Path, environment: Mapping[str, str]) -> Iterator[Operator]:
    """A replica that was started, and is killed at the end if it still runs."""
    operator = Operator(name, folder / f"{name}.log", environment)
    try:
        yield operator
    finally:
        operator.process.kill()
        operator.process.wait()


@contextlib.contextmanager
def working(cluster: Cluster, database: str, folder: pathlib.Path, name: str = "operator") -> Iterator[Operator]:
    """An operator that leads and knows everything, which is told to stop at the end."""
    environment = {"KUBECONFIG": str(install(cluster)), "LLMGOV_DATABASE_URL": database}
    with started(name, folder, environment) as operator:
        operator.wait("the operator works", operator.is_working)
        yield operator
        if operator.process.poll() is None:
            assert operator.end() == 0


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
