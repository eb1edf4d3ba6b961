"""The shell sessions that a page shows, and a shell in which they are typed again.

    ```shell-session
    $ kubectl get lease llmgov-operator --namespace llm-governance
    NAME              HOLDER     AGE
    llmgov-operator   operator   3m6s
    ```

What two outputs have to have in common, outputs.py says.
"""

import pathlib
import re
import subprocess
import time
from collections.abc import Iterable
from typing import NamedTuple

from tests.cluster import outputs
from tests.cluster.cluster import Cluster

ROOT = pathlib.Path(__file__).parents[2]
"""The folder in which pages are read."""

_BLOCK = re.compile(r"(?<=^```shell-session\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
_PROMPT = re.compile(r"^\$ ", re.MULTILINE)
_VERB = re.compile(r"\bkubectl ([a-z-]+)")
_LOOK = {"describe", "diff", "events", "get"}

_SECONDS = 30
"""Until what is looked at is as the page has it: an operator writes a status at most each five seconds."""

_STILL_SECONDS = 6
"""What did not change for so long does not change any more."""


class Step(NamedTuple):
    """A command, and what a page says that it prints."""

    command: str
    printed: str


def steps(page: str) -> list[Step]:
    """All commands of a page's sessions, in order."""
    found = []
    for block in _BLOCK.findall(page):
        before, *typed = _PROMPT.split(block)
        assert not before, f"a session begins with its prompt: {before}"
        found += [Step(command, printed) for command, _, printed in (each.partition("\n") for each in typed)]
    return found


def rewritten(page: str, printed: Iterable[str]) -> str:
    """The page with other outputs, one for each of its commands."""
    rest = iter(printed)

    def block(match: re.Match[str]) -> str:
        return "".join(f"$ {step.command}\n{next(rest)}" for step in steps(f"```shell-session\n{match[0]}```\n"))

    return _BLOCK.sub(block, page)


class Shell:
    """Types commands in this project's folder, as the administrator of a cluster, whose `kubectl` is on the path."""

    def __init__(self, cluster: Cluster, home: pathlib.Path) -> None:
        (home / "kubectl").symlink_to(cluster.program)
        self._environment = {
            "HOME": str(home),
            "KUBECONFIG": str(cluster.kubeconfig),
            "KUBERC": "off",
            "PATH": f"{home}:/usr/local/bin:/usr/bin:/bin",
            "TZ": "UTC",
        }

    def type(self, command: str) -> str:
        """What a terminal shows after one command, whether that fails or not."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100,
        )  # fmt: skip
        return done.stdout

    def repeat(self, step: Step) -> str:
        """Type a command of a page. One that only looks is typed until it prints what the page says, for some time."""
        end = time.monotonic() + _SECONDS
        said = self.type(step.command)
        while _looks(step.command) and not outputs.same(said, step.printed) and time.monotonic() < end:
            time.sleep(0.1)
            said = self.type(step.command)
        return said

    def print_anew(self, step: Step) -> str:
        """What a page should say: what it says where that holds, else what is printed once that changes no more."""
        said = self.type(step.command)
        still = time.monotonic() + _STILL_SECONDS
        while _looks(step.command) and not outputs.same(said, step.printed) and time.monotonic() < still:
            time.sleep(0.1)
            before, said = said, self.type(step.command)
            still = still if outputs.same(before, said) else time.monotonic() + _STILL_SECONDS
        return step.printed if outputs.same(said, step.printed) else outputs.tidy(said)


def _looks(command: str) -> bool:
    """Whether it changes nothing, so that it may be typed any number of times."""
    return set(_VERB.findall(command)) <= _LOOK
