"""The commands that our pages show, and a reader's shell to run them in.

A command is a line `$ …` of a ```console block; what a page only describes stands in another kind of block.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Self

ROOT = pathlib.Path(__file__).parents[2]

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SERVES = re.compile(r"^llmgov local (?!.*--once)")
_LONGEST = 60


def pages() -> list[pathlib.Path]:
    """Every page a reader may begin with."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("examples/*/README.md"))]


def commands(page: pathlib.Path) -> list[str]:
    """The commands of a page, in order."""
    lines = [line for block in _BLOCK.findall(page.read_text()) for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


class Shell:
    """A folder like a fresh clone, in which `llmgov` is on the path and no provider's key in the environment.

    A command that serves runs in the background from when it says that it serves until the shell is left.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Lay out what commands of pages may name."""
        for name in ("examples", "crds", "docs"):
            shutil.copytree(ROOT / name, self._folder / name)
        return self

    def __exit__(self, *_: object) -> None:
        """End what still serves."""
        self._exits.close()

    def run(self, command: str) -> str:
        """Run a command, which must end with exit code 0; returns what it printed."""
        if _SERVES.match(command):
            return self._exits.enter_context(self._serving(command))
        done = subprocess.run(["bash", "-euc", command], timeout=_LONGEST, **self._manner())
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\nexit code {done.returncode}"
        return str(done.stdout)

    @contextlib.contextmanager
    def _serving(self, command: str) -> Iterator[str]:
        with subprocess.Popen(["bash", "-euc", f"exec {command}"], **self._manner()) as process:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "Ctrl-C ends" in line:
                    break
            else:
                raise AssertionError(f"$ {command}\n{said}\nended with {process.wait()}")
            try:
                yield said
            finally:
                process.send_signal(signal.SIGINT)
                process.stdout.read()
            assert process.wait(_LONGEST) == 0

    def _manner(self) -> dict[str, object]:
        kept = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
        path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
        return {
            "cwd": self._folder,
            "env": kept | {"PATH": path},
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }
