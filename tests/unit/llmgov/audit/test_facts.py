"""Which targets and accounts name a person, and so are sealed in records."""

import pytest

from llmgov.audit import facts
from llmgov.snapshot import Period, Target, TargetKind, account_key, user_account_key

EACH = account_key("prod", "user", Period.MONTH, "Europe/Berlin")


@pytest.mark.parametrize(
    ("key", "names"),
    [
        pytest.param("user/jane", True, id="a user's target"),
        pytest.param("user/auth0|17", True, id="a target whose user's name has a bar"),
        pytest.param(account_key("prod", "user/jane", Period.DAY, "UTC"), True, id="one user's account"),
        pytest.param(account_key("prod", "user/auth0|17", Period.DAY, "UTC"), True, id="one, with a bar in the name"),
        pytest.param(account_key("prod", "dry-run@user/jane", Period.DAY, "UTC"), True, id="one user's, in dry run"),
        pytest.param(user_account_key(EACH, "jane"), True, id="a user's own of each user's"),
        pytest.param(user_account_key(EACH, "auth0|17"), True, id="a user's own, with a bar in the name"),
        pytest.param(
            user_account_key(account_key("prod", "user@namespace/payments", Period.DAY, "UTC"), "jane"),
            True,
            id="a user's own in a namespace",
        ),
        pytest.param(
            user_account_key(account_key("prod", "dry-run@user@policy/a/b", Period.DAY, "UTC"), "jane"),
            True,
            id="a user's own of a policy in dry run",
        ),
        pytest.param(EACH, False, id="each user's, which is nobody's"),
        pytest.param(account_key("prod", "team/users", Period.DAY, "UTC"), False, id="a team's"),
        pytest.param(account_key("prod", "policy/ns/user", Period.DAY, "UTC"), False, id="a policy's"),
        pytest.param(str(Target(TargetKind.ORGANIZATION)), False, id="the organization"),
    ],
)
def test_a_key_that_names_a_person_is_known(key: str, names: bool) -> None:
    assert facts.names_user(key) is names
