import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from omnix_cli.testing import Suite, suite_in

LITTLE = Path(__file__).with_name("little_suite.py")


@pytest.fixture
def suites(tmp_path: Path) -> Iterator[Callable[[str], Suite]]:
    """Makes suites of two small services, by name."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(suite_in(tmp_path / name, sys.executable, str(LITTLE)))


@pytest.fixture
def suite(suites: Callable[[str], Suite]) -> Suite:
    return suites("one")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """A suite of two small services that is up, for tests that leave it well."""
    with suite_in(tmp_path_factory.mktemp("running"), sys.executable, str(LITTLE)) as suite:
        assert suite.up().returncode == 0
        yield suite
