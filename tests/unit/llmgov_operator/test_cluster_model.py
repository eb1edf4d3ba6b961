"""Whatever order watches, lists and comparisons come in, what is known ends as what the API server holds.

The API server here is a model: a history of objects by version, a watch that tells of it late, twice or not at all,
and lists that are made at one time and arrive at another.
"""

import dataclasses
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmgov_operator.cluster import PATIENCE, Cluster, Listing, Reference

KIND = "LLMPolicy"
NAMES = st.sampled_from(["a", "b", "c"])


@dataclasses.dataclass
class Server:
    """Objects by name, and everything that was ever true of each."""

    version: int = 0
    objects: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = dataclasses.field(default_factory=list)

    def put(self, name: str) -> None:
        self.version += 1
        uid = self.objects[name]["metadata"]["uid"] if name in self.objects else f"{name}-{self.version}"
        metadata = {"namespace": "", "name": name, "uid": uid, "resourceVersion": str(self.version)}
        self.objects[name] = {"metadata": metadata, "spec": self.version}
        self.events.append(("MODIFIED", self.objects[name]))

    def delete(self, name: str) -> None:
        if name in self.objects:
            self.version += 1
            self.events.append(("DELETED", self.objects.pop(name)))

    def listing(self) -> Listing:
        found = (each["metadata"] for each in self.objects.values())
        return Listing(
            str(self.version),
            {each["uid"]: Reference("", each["name"], each["resourceVersion"]) for each in found},
        )


class AnyOrder(RuleBasedStateMachine):
    """Changes, lost and late news, and lists that are on their way."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.known = Cluster([KIND])
        self.now = 0
        self.lists: list[Listing] = []

    @rule(name=NAMES)
    def put(self, name: str) -> None:
        self.server.put(name)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        self.server.delete(name)

    @rule(data=st.data())
    def tell(self, data: st.DataObject) -> None:
        """Any event so far arrives: late, again, or in another order."""
        if self.server.events:
            self._tell(*data.draw(st.sampled_from(self.server.events)))

    @rule(name=NAMES)
    def watch_begins_anew(self, name: str) -> None:
        """A watch lists the object when it begins; what was deleted meanwhile it never tells."""
        if name in self.server.objects:
            self.known.see(KIND, self.server.objects[name])

    @rule()
    def ask_for_a_list(self) -> None:
        self.lists.append(self.server.listing())

    @rule(passed=st.sampled_from([0, PATIENCE // 2, PATIENCE]))
    def a_list_arrives(self, passed: int) -> None:
        self.now += passed
        if self.lists:
            self._compare(self.lists.pop(0))

    @rule()
    def end_of_the_kind(self) -> None:
        self.known.absent(KIND)

    @invariant()
    def nobody_shares_a_name(self) -> None:
        names = [each["metadata"]["name"] for each in self.known.bodies(KIND)]
        assert len(names) == len(set(names))

    @invariant()
    def complete_and_awaiting_nothing_is_exact(self) -> None:
        if self.known.is_complete and not self.known.awaits and self.server.version == self.compared_at:
            assert self._contents() == self._truth()

    compared_at = -1

    def teardown(self) -> None:
        """Two comparisons with `PATIENCE` between them end every doubt, whatever happened before."""
        self.lists.clear()
        for _ in range(2):
            self._compare(self.server.listing())
            self.now += PATIENCE
        self._compare(self.server.listing())
        assert self._contents() == self._truth()
        assert self.known.is_complete

    def _tell(self, kind: str, body: dict[str, Any]) -> None:
        if kind == "DELETED":
            self.known.forget(KIND, body["metadata"]["uid"])
        else:
            self.known.see(KIND, body)

    def _compare(self, listing: Listing) -> None:
        """Compare, and read what was missed, as whoever compares does."""
        for missed in self.known.compare(KIND, listing, self.now).missed:
            if missed.name in self.server.objects:
                self.known.see(KIND, self.server.objects[missed.name])
        self.compared_at = int(listing.version)

    def _contents(self) -> dict[str, int]:
        return {each["metadata"]["uid"]: each["spec"] for each in self.known.bodies(KIND)}

    def _truth(self) -> dict[str, int]:
        return {each["metadata"]["uid"]: each["spec"] for each in self.server.objects.values()}


AnyOrder.TestCase.settings = hypothesis.settings(max_examples=200, stateful_step_count=30)
TestAnyOrder = AnyOrder.TestCase
