"""What is said of a database's URL that cannot be used: what is wrong with it, and nothing of its password."""

import asyncio
import pathlib
import traceback

import pytest

from llmgov.ledger.store import StoreError
from llmgov_store.postgres import connecting

MODES = "disable, allow, prefer, require, verify-ca, verify-full"


def refusal(url: str) -> StoreError:
    with pytest.raises(StoreError) as refused:
        asyncio.run(connecting.connect(url))
    return refused.value


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:s3cr#et@127.0.0.1/db",
        "postgresql://u:s3cr/et@127.0.0.1/db",
        "postgresql://u:s3cr[et@127.0.0.1:1/db",
        "postgresql://u:s3cret@127.0.0.1:port/db",
    ],
)
def test_no_part_of_a_password_is_repeated_nor_in_a_cause(url: str) -> None:
    error = refusal(url)
    assert str(error).startswith("the database's URL cannot be read: write postgresql://")
    assert "s3cr" not in "".join(traceback.format_exception(error)).replace(url, "")


def test_a_mistyped_sslmode_is_named() -> None:
    said = str(refusal("postgresql://u:s3cret@127.0.0.1:1/db?sslmode=verify-ful"))
    assert said == f"the database's URL cannot be used: `sslmode` parameter must be one of: {MODES}"


def test_a_missing_root_certificate_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path))
        said = str(refusal("postgresql://u:s3cret@127.0.0.1:1/db?sslmode=verify-full"))
    assert said.startswith("the database's URL cannot be used: root certificate file"), said
    assert said.endswith("name another one with sslrootcert=FILE")
