"""A cluster that is there already, by its kubeconfig: its current context is used, as an administrator."""

import contextlib
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

from tests.cluster import binary, kubeconfig
from tests.cluster.audit_log import AuditLog
from tests.cluster.cluster import Cluster, ImageLoader, Users


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[Cluster]:
    """The cluster that a kubeconfig names. Nothing of it is ended."""
    with tempfile.TemporaryDirectory(prefix="llmgov-cluster-") as scratch:
        yield cluster(path, pathlib.Path(scratch))


def cluster(
    path: pathlib.Path, scratch: pathlib.Path, audit: AuditLog | None = None, image_loader: ImageLoader | None = None
) -> Cluster:
    """The same with a scratch folder and, where the tests can reach them, its audit log and its nodes."""
    program = _kubectl()
    view = [str(program), f"--kubeconfig={path}", "config", "view", "--raw", "--flatten", "--minify"]
    own = scratch / "kubeconfig"
    own.touch(mode=0o600)
    own.write_bytes(subprocess.run(view, check=True, stdout=subprocess.PIPE).stdout)
    return Cluster(
        kubeconfig=own,
        kubectl=program,
        scratch=scratch,
        users=_impersonated(own),
        audit=audit,
        image_loader=image_loader,
    )


def _kubectl() -> pathlib.Path:
    found = shutil.which("kubectl")
    return pathlib.Path(found) if found else binary.program("kubectl")


def _impersonated(path: pathlib.Path) -> Users:
    _, administrator = kubeconfig.current(path)
    return lambda name, groups: {**administrator, "as": name, "as-groups": list(groups)}
