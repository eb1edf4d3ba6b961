"""One running system for all tests of this folder: each namespace of it is governed in another way."""

from collections.abc import Iterator

import pytest

from tests.sdk import system as system_
from tests.sdk.system import System


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The system, whatever went through it before."""
    with system_.running(tmp_path_factory.mktemp("sdk")) as system:
        yield system


@pytest.fixture
def system(running: System) -> System:
    """The system, with taps that have seen nothing yet."""
    running.forget()
    return running
