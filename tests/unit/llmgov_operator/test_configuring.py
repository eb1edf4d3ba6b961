"""Objects in, a configuration out; what did not change is not done again."""

from typing import Any

from llmgov import snapshot
from llmgov_operator import kinds
from llmgov_operator.cluster import Cluster
from llmgov_operator.configuring import Configurator

ROOT = "llm-governance"


def namespace(name: str, version: int = 1) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"n-{name}", "resourceVersion": str(version)}}


def policy(where: str, name: str, version: int = 1, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": where, "uid": f"p-{where}-{name}", "resourceVersion": str(version)}
    spec = spec or {"priority": 1, "modelAccess": {"deny": ["*-preview"]}}
    return {"apiVersion": "llmgov.dev/v1alpha1", "kind": "LLMPolicy", "metadata": metadata, "spec": spec}


def known(*policies: dict[str, Any]) -> Cluster:
    cluster = Cluster(kinds.ALL)
    for name in (ROOT, "shop", "other"):
        cluster.see("Namespace", namespace(name))
    for each in policies:
        cluster.see("LLMPolicy", each)
    return cluster


def configurator() -> Configurator:
    return Configurator("c", ROOT, snapshot.PricePart())


def test_every_namespace_has_a_part_and_nothing_is_held_where_nothing_is_wrong() -> None:
    made = configurator().configure(known(policy("shop", "p")))
    assert {"organization", "prices", f"namespace/{ROOT}", "namespace/shop", "namespace/other"} == made.parts.keys()
    assert (made.held, made.whole_held, made.unread) == (frozenset(), False, [])
    assert [body["metadata"]["name"] for _, body in made.parsed] == ["p"]


def test_what_cannot_be_read_holds_its_own_namespace() -> None:
    made = configurator().configure(known(policy("shop", "bad", priority="x"), policy("other", "good")))
    assert made.held == {"namespace/shop"}
    assert not made.whole_held
    assert [body["metadata"]["name"] for body in made.unread] == ["bad"]
    assert {problem.resource.name for problem in made.problems} == {"bad"}


def test_what_cannot_be_read_in_the_root_namespace_holds_everything() -> None:
    assert configurator().configure(known(policy(ROOT, "bad", priority="x"))).whole_held


def test_one_change_leaves_the_parts_of_others_the_same_objects() -> None:
    cluster, configuring = known(policy("shop", "p"), policy("other", "q")), configurator()
    before = configuring.configure(cluster)
    cluster.see("LLMPolicy", policy("shop", "p", 2, priority=2, modelAccess={"deny": ["*-beta"]}))
    after = configuring.configure(cluster)
    assert after.parts["namespace/shop"] != before.parts["namespace/shop"]
    assert after.parts["namespace/other"] is before.parts["namespace/other"]
    assert after.parts["prices"] is before.parts["prices"]


def test_a_status_is_no_reason_to_parse_again() -> None:
    cluster, configuring = known(policy("shop", "p")), configurator()
    (before, _) = configuring.configure(cluster).parsed[0]
    cluster.see("LLMPolicy", {**policy("shop", "p", 2), "status": {"violations": 1}})
    (after, body) = configuring.configure(cluster).parsed[0]
    assert after is before
    assert body["status"] == {"violations": 1}


def test_it_depends_on_the_objects_alone() -> None:
    objects = [policy("shop", "p"), policy("other", "q"), policy(ROOT, "r")]
    grown, configuring = known(), configurator()
    for each in objects:
        grown.see("LLMPolicy", each)
        made = configuring.configure(grown.still())
    assert made.parts == configurator().configure(known(*reversed(objects))).parts
