"""Processes that several runs share: starting them costs more than a run."""

from collections.abc import Iterator

import pytest

from tests.support.crash_client import Crashable, Provider


@pytest.fixture(scope="module")
def crashable() -> Iterator[Crashable]:
    """What is started and killed."""
    with Crashable() as made:
        yield made


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """What outlives it."""
    with Provider() as made:
        yield made
