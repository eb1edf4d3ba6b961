"""`make test-versions`: the tests marked `cluster_versions`, on the oldest Kubernetes that is supported and the newest.

`python -m tests.cluster.versions [VERSION…]`; by default the latest patch of the oldest minor, and the newest that the
Go module proxy has. A first build of a version takes minutes.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable

from tests.cluster import binary

OLDEST = (1, 30)
"""The oldest minor that is supported: the first with ValidatingAdmissionPolicy for everybody."""

_ROOT = pathlib.Path(__file__).parents[2]
_KUBERNETES = "k8s.io/kubernetes"
_STAGED = re.compile(r"^\s*(?:replace )?(k8s\.io/\S+) => \./staging/", re.MULTILINE)
_GO = re.compile(r"^go \S+$", re.MULTILINE)
_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def oldest_and_newest(versions: Iterable[str]) -> list[str]:
    """Of all versions, the latest release of the oldest supported minor, and the newest; raises LookupError."""
    releases = {match: tuple(map(int, match.groups())) for text in versions if (match := _RELEASE.fullmatch(text))}
    of_the_oldest = [match for match, parts in releases.items() if parts[:2] == OLDEST]
    if not of_the_oldest:
        raise LookupError(
            f"no release of Kubernetes {OLDEST[0]}.{OLDEST[1]} among {sorted(match[0] for match in releases)}"
        )
    return [max(some, key=lambda match: releases[match])[0] for some in (of_the_oldest, list(releases))]


def module(version: str, kubernetes_go_mod: str) -> str:
    """The go.mod of a control plane of one version, by Kubernetes' own.

    Kubernetes replaces the libraries that it is developed with by folders of its repository. Nobody else has these, so
    here each is replaced by its release of the same version, where `v1.34.4` is `v0.34.4`.
    """
    (go,) = _GO.findall(kubernetes_go_mod)
    release = re.sub(r"^v1\.", "v0.", version)
    replaced = [f"replace {name} => {name} {release}" for name in _STAGED.findall(kubernetes_go_mod)]
    return "\n".join(["module controlplane", "", go, "", f"require {_KUBERNETES} {version}", "", *replaced, ""])


def source(version: str) -> binary.Source:
    """The sources of a control plane of one version, without a node's components, in the cache folder."""
    folder = binary.cache() / "sources" / version
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(binary.OWN.folder / "main.go", folder)
    if not (folder / "go.sum").exists():
        download = json.loads(binary.go("mod", "download", "-json", f"{_KUBERNETES}@{version}", folder=folder))
        (folder / "go.mod").write_text(module(version, pathlib.Path(download["GoMod"]).read_text()))
        binary.go("mod", "tidy", folder=folder)
    return binary.Source(folder)


def published() -> list[str]:
    """All versions of Kubernetes that the Go module proxy has."""
    listed = binary.go("list", "-m", "-versions", _KUBERNETES, folder=pathlib.Path(tempfile.gettempdir()))
    return listed.split()[1:]


def run(version: str) -> int:
    """Run the marked tests on one version; the exit code."""
    print(f"Kubernetes {version}", flush=True)
    environment = {**os.environ, binary.ASSETS: str(binary.built(source(version)))}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "cluster_versions", "tests/cluster"]
    return subprocess.run(command, cwd=_ROOT, env=environment).returncode


def main(versions: list[str]) -> int:
    """Run them on all of these versions; the exit code."""
    codes = [run(version) for version in versions or oldest_and_newest(published())]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
