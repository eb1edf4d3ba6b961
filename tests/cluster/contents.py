"""What a cluster holds before the first test, and under `make cluster`: this project, as far as it runs there.

The one place where the operator and the quickstart's resources will follow the CRDs.
"""

import pathlib

from tests.cluster.cluster import Cluster

CRDS = pathlib.Path(__file__).parents[2] / "crds"


def install(cluster: Cluster) -> None:
    """Apply the CRDs and wait until the API server serves them."""
    cluster.kubectl("apply", "--server-side", "--filename", str(CRDS))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "--filename", str(CRDS))
