"""What a test sees of a cluster, whichever way it came about."""

import json
import os
import pathlib
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import yaml

from tests.cluster import kubeconfig
from tests.cluster.audit_log import AuditLog

Users = Callable[[str, Sequence[str]], Mapping[str, Any]]
"""By name and groups, the `user` of a kubeconfig."""

ImageLoader = Callable[[pathlib.Path], None]

_PUBLIC_IMAGE = "busybox:1.37"
_SECONDS = 100


class KubectlError(Exception):
    """kubectl failed; `str` of it is what it said."""


class Cluster:
    """A cluster, used through kubectl or, with one of its kubeconfigs, through any client."""

    def __init__(
        self,
        *,
        kubeconfig: pathlib.Path,
        kubectl: pathlib.Path,
        scratch: pathlib.Path,
        users: Users,
        audit: AuditLog | None = None,
        image: str = _PUBLIC_IMAGE,
        image_loader: ImageLoader | None = None,
    ) -> None:
        self.kubeconfig = kubeconfig
        """The administrator's."""

        self.program = kubectl
        self.image = image
        """An image with a shell and the usual commands, which pods of this cluster can use."""
        self._scratch = scratch
        self._users = users
        self._audit = audit
        self._image_loader = image_loader

    @property
    def audit(self) -> AuditLog:
        """The API server's audit log; raises LookupError where it is out of reach (`has_audit`)."""
        if self._audit is None:
            raise LookupError("the audit log of a cluster that the tests did not start is out of their reach")
        return self._audit

    @property
    def has_audit(self) -> bool:
        """Whether the audit log can be read."""
        return self._audit is not None

    def kubectl(self, *arguments: str, stdin: str | None = None, as_user: pathlib.Path | None = None) -> str:
        """Run kubectl as the administrator, or as the user of another kubeconfig; its output.

        Raises KubectlError where it fails.
        """
        process = subprocess.run(
            [
                self.program,
                "--kubeconfig",
                as_user or self.kubeconfig,
                "--cache-dir",
                self._scratch / "cache",
                *arguments,
            ],
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env={**os.environ, "KUBECONFIG": "", "KUBERC": "off"},  # whoever runs the tests may have their own
        )
        if process.returncode != 0:
            raise KubectlError(process.stderr + process.stdout)
        return process.stdout

    def get(self, *arguments: str, as_user: pathlib.Path | None = None) -> dict[str, Any]:
        """`kubectl get` of an object or a list, as JSON has it."""
        document: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output=json", as_user=as_user))
        return document

    def apply(self, *documents: Mapping[str, Any], as_user: pathlib.Path | None = None) -> str:
        """`kubectl apply --server-side` of objects; its output."""
        text = yaml.safe_dump_all([dict(document) for document in documents])
        return self.kubectl("apply", "--server-side", "--filename=-", stdin=text, as_user=as_user)

    def user_kubeconfig(self, name: str, *groups: str) -> pathlib.Path:
        """A kubeconfig of a user who has no rights but those that tests give them or their groups.

        By a client certificate where the tests made the cluster, else by impersonation: either way the API server
        decides by this user's own rights.
        """
        return self._kubeconfig("-".join(["user", name, *groups]), self._users(name, groups))

    def service_account_kubeconfig(self, namespace: str, name: str) -> pathlib.Path:
        """A kubeconfig of an existing ServiceAccount, by a token that is good for an hour."""
        token = self.kubectl("create", "token", name, "--namespace", namespace).strip()
        return self._kubeconfig(f"serviceaccount-{namespace}-{name}", {"token": token})

    def load_image(self, archive: pathlib.Path) -> None:
        """Give the nodes an image, from the archive that `docker save` makes; raises LookupError without own nodes."""
        if self._image_loader is None:
            raise LookupError("images can be loaded only into nodes that the tests started")
        self._image_loader(archive)

    def _kubeconfig(self, name: str, user: Mapping[str, Any]) -> pathlib.Path:
        path = self._scratch / f"{name.replace(':', '-').replace('/', '-')}.kubeconfig"
        return kubeconfig.with_user(path, self.kubeconfig, user)
