"""The bridge's small thread, and that a bridge leaves its last notes behind when it is told to end."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy.exc import OperationalError

from benchmarks import filling
from benchmarks.surroundings import bridge_settings, place, start_bridge
from benchmarks.wire import run_clients
from qbwc_bridge.periodic import Periodic
from store.companies import company


def test_it_goes_on_after_trouble_and_does_its_work_a_last_time() -> None:
    calls: list[int] = []
    again = threading.Event()

    def work() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise OperationalError("select 1", {}, Exception("away"))
        if len(calls) == 2:
            raise ValueError("odd")
        again.set()

    periodic = Periodic("test", work, seconds=0.001)
    periodic.start()
    assert again.wait(20)
    periodic.stop()
    done = len(calls)
    assert done >= 4  # three, and the last one
    idle = Periodic("test", work, seconds=3600)
    idle.start()
    idle.stop()
    assert len(calls) == done + 1


def test_an_end_does_not_wait_for_ever() -> None:
    """A database that neither answers nor refuses holds up the last time; the process must end all the same."""
    goes_on, began = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        goes_on.wait(60)

    periodic = Periodic("test", work, seconds=3600)
    periodic.start()
    stopping = threading.Thread(target=periodic.stop, kwargs={"timeout_s": 0.01}, daemon=True)
    stopping.start()
    assert began.wait(20)
    stopping.join(20)
    has_ended = not stopping.is_alive()
    goes_on.set()
    assert has_ended


def test_a_bridge_that_ends_has_noted_who_polled(tmp_path: Path) -> None:
    with place("sqlite", tmp_path) as here:
        database = here.new_database()
        filling.add_companies(database, 2)
        settings = bridge_settings(database, here)
        bridge = start_bridge(here, settings)
        run_clients(bridge, "polls", int(settings["QBD_SOAP_PORT"]), clients=1, seconds=0.2, companies=1)
        bridge.stop()
        with database.transaction() as session:
            polled, other = (company(session, filling.company_id(number)) for number in range(2))
            assert polled is not None
            assert other is not None
            assert polled.last_seen_at is not None
            assert polled.last_address == "127.0.0.1"
            assert other.last_seen_at is None
