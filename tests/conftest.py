"""Fixtures for all tests, and the rule that only tests marked ``server`` may open a socket."""

from __future__ import annotations

import gc
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import pytest
import pytest_socket

from broker.mosquitto.supervisor import Mosquitto
from tests.support.cell import Cell
from tests.support.order import spread
from tests.support.postgres import Postgres
from tests.support.sharing import share_authorities, share_routes

pytest_plugins = ["tests.support.databases", "tests.support.towns"]


LEFT_OUT: Final = {
    "session_service/test_bad_requests.py": "sqlite",  # PostgreSQL refuses more: a NUL, a number beyond its column
    "session_service/fleet/test_bad_messages.py": "sqlite",
    # The next ones ask what HTTP answers; their nouns' statements are tried on both by test_service.py and its like.
    "session_service/approvals/test_endpoints.py": "postgresql",
    "session_service/commands/test_second_person.py": "postgresql",
    "session_service/devices/test_endpoints.py": "postgresql",
    "session_service/finding/test_endpoints.py": "postgresql",
    "session_service/fleet/test_revocation.py": "postgresql",
    "session_service/keys/test_rotation.py": "postgresql",
    "session_service/labels/test_endpoints.py": "postgresql",
    "session_service/ledger/test_endpoints.py": "postgresql",
    "session_service/ledger/test_webhooks.py": "postgresql",
    "session_service/operators/test_sign_ins.py": "postgresql",
    "session_service/passkeys/test_endpoints.py": "postgresql",
    "session_service/pki/test_enrolment.py": "postgresql",
    "session_service/presence/test_endpoints.py": "postgresql",
    "session_service/riders/test_endpoints.py": "postgresql",
    "session_service/telemetry/test_endpoints.py": "postgresql",
    "session_service/test_access.py": "postgresql",
    "session_service/test_bad_labels.py": "postgresql",
    "session_service/test_counting_through.py": "postgresql",
    "session_service/test_schemathesis.py": "postgresql",
    "session_service/riders/test_cookies.py": "postgresql",
    "session_service/web/": "postgresql",
    "end_to_end/test_faults.py": "sqlite",  # and the next one is the other way round
    "end_to_end/test_processes.py": "postgresql",
}
"""Of tests about what is answered before any database is asked, or whatever database it is: the one that adds nothing.

``UNLATCH_EVERY_DATABASE=1`` runs those too, as `make soak` does.
"""


def pytest_configure() -> None:
    """Begin; each worker does so for itself. Nothing that is loaded now is ever garbage."""
    gc.disable()
    share_authorities()
    share_routes()


FOR_THE_SOAK: Final = (
    "tests/browser/test_dashboard_fleet.py",  # with ten thousand lines; the others have five
    "tests/browser/test_dashboard_replay.py",
    "tests/browser/test_dashboard_device.py::test_charts_from_hours_to_a_year",
    "tests/browser/test_dashboard_device.py::test_a_log_of_100_000_reports",
    "tests/browser/test_dashboard_device.py::test_every_label_of_a_sheet_is_read_back[Letter]",
    "tests/browser/test_refusals.py::test_a_button_that_fails_with_us_is_an_apology_and_the_ride_goes_on[en-GB]",
    "tests/browser/test_refusals.py::test_a_button_that_fails_with_us_is_an_apology_and_the_ride_goes_on[de-AT]",
    "tests/browser/test_whole_way.py::test_a_stranger_rides_a_bike_and_locks_it_by_hand[de-AT]",
    "tests/browser/test_whole_way.py::test_a_stranger_rests_in_a_pod_and_presses_finish[en-GB]",
    "tests/browser/test_whole_way.py::test_a_stranger_rests_in_a_pod_and_presses_finish[zh-CN]",
    "tests/deploy/test_device_install.py",  # fetches a whole Debian, twice
    "tests/session_service/test_bad_photographs.py::test_large_files_at_once",
    "tests/end_to_end/test_demo.py::test_a_demo_that_is_killed",
    "tests/end_to_end/test_demo.py::test_a_part_that_cannot_start",
    "tests/end_to_end/test_replay.py::test_a_bike_that_was_out_for_too_long",
    "tests/end_to_end/test_replay.py::test_a_replay_that_runs_out_of_time",
    "tests/end_to_end/test_replay.py::test_on_postgresql_every_trip_is_ridden",
    "tests/end_to_end/test_replay.py::test_two_instances_of_which_one_is_killed",
)
"""What takes long and whose parts are tried elsewhere too: `make soak` runs it, and ``UNLATCH_EVERY_DATABASE=1``."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what another database would only repeat, and put the files in the order of ``spread``."""
    repeated = {item for item in items if _is_left_out(item)} if not os.environ.get("UNLATCH_EVERY_DATABASE") else set()
    config.hook.pytest_deselected(items=list(repeated))
    by_file: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item not in repeated:
            by_file[item.nodeid.partition("::")[0]].append(item)
    items[:] = [item for file in spread(list(by_file)) for item in by_file[file]]


def pytest_collection_finish() -> None:
    """Take what is loaded out of the garbage collector's sight: no test has all of it to look through."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Show all again: libraries look at the end for what was never freed."""
    gc.unfreeze()


def _is_left_out(item: pytest.Item) -> bool:
    return item.nodeid.startswith(FOR_THE_SOAK) or _is_repeated(item)


def _is_repeated(item: pytest.Item) -> bool:
    path, _, name = item.nodeid.partition("::")
    part = path.removeprefix("tests/")
    left_out = next((database for begin, database in LEFT_OUT.items() if part.startswith(begin)), None)
    return left_out is not None and re.search(rf"[\[-]{left_out}[\]-]", name) is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Take the network from every test that is not marked ``server``.

    Unix sockets stay, because asyncio wakes its own loop through a pair of them.
    """
    if item.get_closest_marker("server") is None:
        pytest_socket.disable_socket(allow_unix_socket=True)
    else:
        pytest_socket.enable_socket()


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One broker for all tests that leave it as they found it: add users of your own, and retain nothing."""
    with Mosquitto(Cell(tmp_path_factory.mktemp("pki")).certificates) as broker:
        yield broker


@pytest.fixture
def own_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker for one test, with an authority of its own, to be killed, frozen and filled at will."""
    with Mosquitto(Cell(tmp_path_factory.mktemp("pki")).certificates) as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for all tests; each makes its own databases on it (``new_database``)."""
    with Postgres() as server:
        yield server
