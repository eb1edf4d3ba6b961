"""What a cluster holds before the first test, and under `make cluster`: this project, as far as it runs there."""

import pathlib
import sys

from tests.cluster import kubeconfig, operators
from tests.cluster.cluster import Cluster
from tests.cluster.janitor import Janitor

CRDS = pathlib.Path(__file__).parents[2] / "crds"
QUICKSTART = pathlib.Path(__file__).parents[2] / "examples" / "01-quickstart"


def install(cluster: Cluster) -> None:
    """Apply the CRDs and wait until the API server serves them."""
    cluster.kubectl("apply", "--server-side", "--filename", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "--filename", str(CRDS))


def operate(cluster: Cluster, janitor: Janitor, folder: pathlib.Path) -> None:
    """Start an operator whose ledger is a file in `folder`, and wait until the quickstart's resources are in force."""
    operators.install(cluster)
    environment = {
        "KUBECONFIG": _lasting_kubeconfig(cluster, folder),
        "LLMGOV_DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
        "LLMGOV_ADMIN_HOST": "127.0.0.1",
        "LLMGOV_ADMIN_PORT": "0",
        "POD_NAME": "operator",
    }
    words = [f"{name}={value}" for name, value in environment.items()]
    janitor.start(folder / "operator.log", "env", *words, sys.executable, "-m", "llmgov_cli.main", "operator")
    reconcile_quickstart(cluster)


def reconcile_quickstart(cluster: Cluster) -> None:
    """Apply the quickstart's resources where an operator runs, and wait until they are in force."""
    for name in ("credentials", "policies", "budgets"):
        cluster.kubectl("apply", "--server-side", "--filename", str(QUICKSTART / f"{name}.yaml"))
    kinds = "providercredentials,llmpolicies,budgets"
    cluster.kubectl(
        "wait", "--for=condition=Ready", "--timeout=90s", "--namespace", operators.NAMESPACE, kinds, "--all"
    )


def _lasting_kubeconfig(cluster: Cluster, folder: pathlib.Path) -> pathlib.Path:
    """The operator's, with a token for as long as somebody may keep the cluster."""
    command = ("create", "token", "llmgov-operator", "--namespace", operators.NAMESPACE, "--duration=720h")
    user = {"token": cluster.kubectl(*command).strip()}
    return kubeconfig.with_user(folder / "operator.kubeconfig", cluster.kubeconfig, user)
