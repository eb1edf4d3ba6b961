"""What is known of the objects: told in any order, held against lists, complete or not."""

from collections.abc import Mapping
from typing import Any

import pytest

from llmgov_operator.cluster import PATIENCE, Change, Cluster, Listing, Reference, RewoundError

KIND = "LLMPolicy"


def body(name: str, version: int, *, uid: str = "", spec: object = "a", **others: Any) -> dict[str, Any]:
    metadata = {"namespace": "x", "name": name, "uid": uid or name, "resourceVersion": str(version)}
    return {"metadata": metadata | others.pop("metadata", {}), "spec": spec, **others}


def listing(version: int, **objects: int) -> Listing:
    """A list at a version, of objects by UID (which is their name) at theirs."""
    return Listing(str(version), {uid: Reference("x", uid, str(at)) for uid, at in objects.items()})


def cluster(*bodies: Mapping[str, Any]) -> Cluster:
    made = Cluster([KIND])
    for each in bodies:
        made.see(KIND, each)
    return made


def names(known: Cluster) -> list[str]:
    return [each["metadata"]["name"] for each in known.bodies(KIND)]


@pytest.mark.parametrize(
    ("then", "change"),
    [
        pytest.param(body("p", 2, spec="b"), Change.CONTENT, id="another spec changes the content"),
        pytest.param(body("p", 2, metadata={"labels": {"a": "b"}}), Change.CONTENT, id="so do labels"),
        pytest.param(body("p", 2, metadata={"generation": 2}), Change.CONTENT, id="so does a generation"),
        pytest.param(body("p", 2, status={"spent": "1"}), Change.STATUS, id="a status is a status"),
        pytest.param(body("p", 2, metadata={"annotations": {"a": "b"}}), Change.NOTHING, id="annotations are nothing"),
        pytest.param(body("p", 1), Change.NOTHING, id="the same again is nothing"),
        pytest.param(body("p", 0, spec="b"), Change.NOTHING, id="older news are nothing"),
        pytest.param(body("p", 2, uid="q"), Change.CONTENT, id="another object of the name takes its place"),
        pytest.param(body("p", 0, uid="q"), Change.NOTHING, id="not where it is the older one"),
    ],
)
def test_what_an_observation_changes(then: Mapping[str, Any], change: Change) -> None:
    known = cluster(body("p", 1))
    assert known.see(KIND, then) is change
    assert names(known) == ["p"]


def test_older_news_do_not_replace_newer_ones() -> None:
    known = cluster(body("p", 10, spec="new"), body("p", 9, spec="old"))
    assert [each["spec"] for each in known.bodies(KIND)] == ["new"]


def test_versions_are_numbers_and_no_texts() -> None:
    known = cluster(body("p", 9, spec="old"), body("p", 10, spec="new"))
    assert [each["spec"] for each in known.bodies(KIND)] == ["new"]


def test_a_deleted_object_does_not_come_back_by_late_news() -> None:
    known = cluster(body("p", 1))
    assert known.forget(KIND, "p") is Change.CONTENT
    assert known.see(KIND, body("p", 2)) is Change.NOTHING
    assert names(known) == []


def test_an_object_of_which_nobody_knew_is_forgotten_without_a_change() -> None:
    assert cluster().forget(KIND, "p") is Change.NOTHING


def test_what_was_deleted_and_made_again_unheard_is_there_once() -> None:
    known = cluster(body("p", 1, uid="first"), body("p", 5, uid="second", spec="b"))
    assert [each["metadata"]["uid"] for each in known.bodies(KIND)] == ["second"]
    assert known.forget(KIND, "first") is Change.NOTHING
    assert names(known) == ["p"]


def test_nothing_is_complete_before_it_was_listed() -> None:
    known = cluster(body("p", 1))
    assert known.missing() == [KIND]
    known.compare(KIND, listing(1, p=1), 0)
    assert known.missing() == []
    assert known.is_complete


def test_an_empty_list_completes_a_kind() -> None:
    known = cluster()
    known.compare(KIND, listing(7), 0)
    assert known.is_complete


def test_a_kind_is_complete_with_the_last_object_that_a_list_had() -> None:
    known = cluster(body("p", 1))
    known.compare(KIND, listing(9, p=3, q=2), 0)
    assert known.missing() == [KIND]
    known.see(KIND, body("q", 2))
    known.see(KIND, body("p", 2))
    assert known.missing() == [KIND], "p was listed in a newer version"
    known.see(KIND, body("p", 4))
    assert known.missing() == []


def test_deletion_of_the_last_one_completes_a_kind_too() -> None:
    known = cluster()
    known.compare(KIND, listing(9, p=3), 0)
    known.forget(KIND, "p")
    assert known.is_complete


def test_deletions_found_by_a_list_do_not_complete_what_the_same_list_has_more_of() -> None:
    known = cluster(body("gone", 1))
    known.compare(KIND, listing(2, gone=2), 0)
    known.compare(KIND, listing(9, new=3), 0)
    assert known.missing() == [KIND]


def test_a_kind_that_is_not_served_any_more_is_missing_and_complete_after_the_next_list() -> None:
    known = cluster(body("p", 1))
    known.compare(KIND, listing(1, p=1), 0)
    known.absent(KIND)
    assert known.missing() == [KIND]
    assert known.compare(KIND, listing(5), 0).gone == 1
    assert known.missing() == []
    assert names(known) == []


def test_what_a_list_lacks_is_gone() -> None:
    known = cluster(body("p", 1), body("q", 2))
    assert known.compare(KIND, listing(3, q=2), 0).gone == 1
    assert names(known) == ["q"]


def test_what_was_made_after_the_list_is_not_gone() -> None:
    known = cluster(body("p", 4))
    assert known.compare(KIND, listing(3), 0).gone == 0
    assert names(known) == ["p"]


def test_what_the_watch_does_not_tell_in_time_is_missed_and_not_before() -> None:
    known = cluster(body("p", 1))
    known.compare(KIND, listing(1, p=1), 0)
    assert known.compare(KIND, listing(2, p=2), 10).missed == ()
    assert known.awaits
    assert known.compare(KIND, listing(2, p=2), 9 + PATIENCE).missed == ()
    assert known.compare(KIND, listing(3, p=3), 10 + PATIENCE).missed == (Reference("x", "p", "3"),)
    assert known.is_complete, "only a start waits for everything"


def test_what_is_told_in_time_is_not_missed() -> None:
    known = cluster(body("p", 1))
    known.compare(KIND, listing(1, p=1), 0)
    known.compare(KIND, listing(2, p=2), 0)
    known.see(KIND, body("p", 2))
    assert not known.awaits
    assert known.compare(KIND, listing(2, p=2), PATIENCE).missed == ()


def test_an_object_of_a_kind_that_others_are_heard_of_is_missed_all_the_same() -> None:
    known = cluster(body("p", 1), body("q", 1))
    known.compare(KIND, listing(1, p=1, q=1), 0)
    known.compare(KIND, listing(2, p=2, q=1), 0)
    known.see(KIND, body("q", 3))
    assert [each.name for each in known.compare(KIND, listing(3, p=2, q=3), PATIENCE).missed] == ["p"]


def test_a_first_watch_has_time_for_as_long_as_it_tells_something() -> None:
    known = cluster()
    known.compare(KIND, listing(9, p=1, q=2), 0)
    known.see(KIND, body("p", 1))
    assert known.compare(KIND, listing(9, p=1, q=2), PATIENCE).missed == ()
    assert [each.name for each in known.compare(KIND, listing(9, p=1, q=2), 2 * PATIENCE).missed] == ["q"]


def test_a_list_older_than_the_one_before_is_an_error() -> None:
    known = cluster()
    known.compare(KIND, listing(9), 0)
    with pytest.raises(RewoundError, match="version 8, after one at version 9"):
        known.compare(KIND, listing(8), 0)


def test_objects_are_given_in_the_order_of_their_names() -> None:
    assert names(cluster(body("q", 1), body("p", 2))) == ["p", "q"]
    assert cluster(body("q", 1), body("p", 2)).counts() == {KIND: 2}
