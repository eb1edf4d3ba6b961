"""A real Kubernetes API for tests, started here, without Docker and without root. A test below this folder asks for it:

    def test_something(cluster: Cluster, namespace: str) -> None:
        cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}})
        cluster.kubectl("get", "budgets", "--output=wide")             # output; KubectlError says what kubectl said
        cluster.get("configmap", "a", "--namespace", namespace)        # as JSON has it

- `cluster` (session): one for all tests, with the CRDs of crds/ applied and established. `namespace`: a new one.
- `cluster.kubeconfig`: the administrator's, for any client or process, on a loopback port.
- `cluster.user_kubeconfig("alice", "devs")`, `cluster.service_account_kubeconfig(namespace, name)`: kubeconfigs of
  others, whose rights are their own; `cluster.kubectl(…, as_user=path)`.
- `audit`, the API server's log (audit_log.py): `since = audit.position()`, `audit.requests(user, since=since)`,
  `audit.verbs(user, since=since)`, `audit.wait_for(condition, …)`. Where it is out of reach, the test is skipped.
- `node_cluster` and `node_namespace`: the same with a node that runs pods of `node_cluster.image`, a busybox;
  `node_cluster.load_image(archive)` takes others.
- A test that kills components, or needs a cluster without CRDs, starts its own (and `requires("kubernetes of its own")`
  of tests/support/machine.py): `with control_plane.running() as plane`; `plane.cluster()`, `plane.kill(
  "kube-apiserver")`, `plane.start("kube-apiserver")`.
- A test that holds on every supported Kubernetes is marked `cluster_versions` (versions.py).

Which cluster it is, ways.py decides: `pytest --kubeconfig=FILE`, else kind where it can run, else built from
controlplane/ (binary.py), with nodes by node/. All of it ends with the tests' process, by janitor.py. contents.py is
what a cluster holds before the first test; keep.py is `make cluster`. sessions.py types again what pages show.
"""
