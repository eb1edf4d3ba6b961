"""The operator's settings: what they default to, and what is said of those that cannot be."""

import pytest

from llmgov_operator.settings import Settings, SettingsError

URL = {"LLMGOV_DATABASE_URL": "postgresql://u:secret@h/d"}


def test_the_defaults_that_are_promised() -> None:
    settings = Settings.read({**URL, "POD_NAME": "operator-1"})
    assert settings == Settings(
        database_url=URL["LLMGOV_DATABASE_URL"],
        root_namespace="llm-governance",
        identity="operator-1",
        cluster_id="",
        kubeconfig=None,
        admin_host="0.0.0.0",
        admin_port=8081,
        observe_seconds=5.0,
    )


def test_the_root_namespace_is_the_pod_s_unless_it_is_named() -> None:
    pod = {**URL, "POD_NAMESPACE": "governance"}
    assert Settings.read(pod).root_namespace == "governance"
    assert Settings.read({**pod, "LLMGOV_ROOT_NAMESPACE": "root"}).root_namespace == "root"


def test_the_database_s_password_is_not_shown() -> None:
    assert "secret" not in repr(Settings.read(URL))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({}, "LLMGOV_DATABASE_URL: write postgresql://", id="no database"),
        pytest.param({"LLMGOV_DATABASE_URL": "mysql://x"}, "LLMGOV_DATABASE_URL: write", id="another database"),
        pytest.param({**URL, "LLMGOV_ADMIN_PORT": "http"}, "LLMGOV_ADMIN_PORT: write a whole number", id="no number"),
        pytest.param({**URL, "LLMGOV_ADMIN_PORT": "65536"}, "from 0 to 65535", id="no port"),
        pytest.param({**URL, "LLMGOV_OBSERVE_SECONDS": "0"}, "LLMGOV_OBSERVE_SECONDS", id="no pause"),
    ],
)
def test_what_cannot_be_is_named_with_what_to_write(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.read(environment)
