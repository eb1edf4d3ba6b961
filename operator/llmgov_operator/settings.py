"""The operator's settings, from environment variables alone; each with its default and the reason for it."""

import dataclasses
import socket
from collections.abc import Mapping
from typing import Final, Self

DATABASE_URL: Final = "LLMGOV_DATABASE_URL"
"""The ledger's database, with a login of the role `llmgov_hub` (docs/ledger.md)."""


class SettingsError(ValueError):
    """A setting is missing or cannot be; the message names it and says what to write."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What a replica of the operator is told."""

    database_url: str = dataclasses.field(repr=False)
    """`postgresql://…`, or `sqlite:///PATH` for an operator of one process."""
    root_namespace: str = "llm-governance"
    """The namespace whose policies may govern the organization: the one that the system is installed in."""
    identity: str = ""
    """This replica among the others: its pod's name."""
    cluster_id: str = ""
    """What tells this cluster's accounts from those of others that share the ledger; empty: the UID of its namespace
    `kube-system`, which stays for as long as the cluster does."""
    kubeconfig: str | None = None
    """A file that names the cluster; absent in a pod, which is in it."""
    admin_host: str = "0.0.0.0"  # noqa: S104 (probes and Prometheus come from other pods)
    """Where probes and metrics are served."""
    admin_port: int = 8081
    """0: any free one."""
    observe_seconds: float = 5.0
    """Between two looks at the ledger for statuses: as often as one object's status may be written."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """The settings of a process with this environment.

        Raises:
            SettingsError: one is missing or cannot be.
        """
        url = environment.get(DATABASE_URL, "")
        if not url.startswith(("postgresql://", "postgres://", "sqlite:///")):
            raise SettingsError(
                f"{DATABASE_URL}: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or, where one process is all"
                " there is, sqlite:///PATH"
            )
        return cls(
            database_url=url,
            root_namespace=environment.get("LLMGOV_ROOT_NAMESPACE")
            or environment.get("POD_NAMESPACE")
            or "llm-governance",
            identity=environment.get("POD_NAME") or socket.gethostname(),
            cluster_id=environment.get("LLMGOV_CLUSTER_ID", ""),
            kubeconfig=environment.get("KUBECONFIG") or None,
            admin_host=environment.get("LLMGOV_ADMIN_HOST") or "0.0.0.0",  # noqa: S104
            admin_port=_number(environment, "LLMGOV_ADMIN_PORT", 8081, 0, 65535),
            observe_seconds=float(_number(environment, "LLMGOV_OBSERVE_SECONDS", 5, 1, 300)),
        )


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise SettingsError(f"{name}: write a whole number from {least} to {most}")
    return int(text)
