"""QuickBooks' own rules met in whole sessions: what it would refuse, and what the export makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulator.records import Invoice
from store.engine import Database
from tests.support import stores
from tests.support.company_files import store_lists
from tests.support.direct import DirectWire
from tests.support.world import World


@pytest.fixture
def world(database: Database, clock: stores.Clock) -> Iterator[World]:
    world = World(database, clock)
    world.connector.http = DirectWire(world.dispatcher)  # type: ignore[assignment]
    store_lists(database, world.quickbooks)
    yield world
    world.close()


@pytest.mark.parametrize("refuses", [True, False])
def test_class_tracking_is_switched_off_while_a_document_waits(world: World, refuses: bool) -> None:
    """It was mapped with its class; the session that sees the preference sends it without."""
    with world.changed_mapping() as mapping:
        mapping["classes"]["K"] = {"full_name": "Brokerage"}
    request_id = world.queue({**stores.an_invoice(), "class": "K"})
    assert "<ClassRef>" in world.request(request_id).body
    world.quickbooks.preferences.class_tracking = False
    world.quickbooks.switches.refuse_class_when_tracking_is_off = refuses
    world.update()
    assert "<ClassRef>" not in world.request(request_id).body
    outcome = world.outcome(request_id)
    assert outcome is not None
    assert outcome.transaction is not None
    posted = world.quickbooks.ledger[-1]
    assert isinstance(posted, Invoice)
    assert posted.class_id is None
    world.must_hold()
