"""Requests with an Idempotency-Key: done once, whoever sends them how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from store import secrets
from store.api_tables import KeptAnswer
from store.tables import ApiKey, Company
from tests.support.stores import Clock

from .conftest import KEY, NOW, World, an_invoice

pytestmark = pytest.mark.both_databases

BODY = {"name": "Acme", "quickbooks_release": "2024"}


def _count(world: World, table: Any) -> int:
    with world.database.transaction() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


async def _connect(world: World, key: str, **more: Any) -> httpx.Response:
    return await world.http.post("/v1/companies", json=BODY | more, headers={"Idempotency-Key": key})


async def test_a_repeated_request_gets_the_first_answer(world: World) -> None:
    """One company; the second answer is the first one without its password."""
    first, second = [await _connect(world, "k-1") for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert first.json()["password"]
    assert second.json() == first.json() | {"password": None}
    assert second.headers["location"] == first.headers["location"]
    assert _count(world, Company) == 1


async def test_no_kept_answer_holds_a_password(world: World) -> None:
    """Neither of a new company nor of a new password."""
    created = (await _connect(world, "k-1", id="acme")).json()
    renewed = await world.http.post("/v1/companies/acme/password", headers={"Idempotency-Key": "k-2"})
    with world.database.transaction() as session:
        kept = b"".join(row.body or b"" for row in session.scalars(select(KeptAnswer)))
    assert b"qbwc-acme" in kept
    assert created["password"].encode() not in kept
    assert renewed.json()["password"].encode() not in kept


async def test_another_request_under_the_same_key_is_a_conflict(world: World) -> None:
    """Another body or another address is refused and does nothing."""
    await _connect(world, "k-1", id="acme")
    other = await _connect(world, "k-1", id="other")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    elsewhere = await world.http.post("/v1/companies/acme/rotate-ids", headers={"Idempotency-Key": "k-1"})
    assert elsewhere.status_code == 409
    assert _count(world, Company) == 1


async def test_keys_of_two_clients_do_not_meet(world: World) -> None:
    """The same Idempotency-Key of another API key is another one."""
    with world.database.transaction() as session:
        session.add(ApiKey(id="k2", name="k2", key_hash=secrets.fingerprint("second"), created_at=NOW))
    first = await _connect(world, "k-1")
    headers = {"Idempotency-Key": "k-1", "Authorization": "Bearer second"}
    second = await world.http.post("/v1/companies", json=BODY, headers=headers)
    assert second.json()["id"] != first.json()["id"]


async def test_a_refusal_is_not_kept(world: World) -> None:
    """After the mend the same request under the same key succeeds."""
    await world.connect(mapping={})
    headers = {"Idempotency-Key": "k-1"}

    async def export() -> httpx.Response:
        return await world.http.post(
            "/v1/companies/acme/exports", json={"document": an_invoice(terms=None)}, headers=headers
        )

    assert (await export()).status_code == 422
    from .conftest import MAPPING

    await world.http.put("/v1/companies/acme/mapping", json=MAPPING)
    assert (await export()).json()["status"] == "Pending"
    starts = len(world.exporter.starts)
    assert (await export()).headers["idempotency-replayed"] == "true"
    assert len(world.exporter.starts) == starts


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "a b"])
async def test_keys_that_are_none(world: World, key: str) -> None:
    """Empty, too long or with spaces: refused before anything happens."""
    answer = await _connect(world, key)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
    assert _count(world, Company) == 0


async def test_simultaneous_requests_do_it_once(
    world: World, serving: Callable[[FastAPI], AbstractContextManager[str]]
) -> None:
    """Ten clients over real sockets and two servers on one database: one company, and no answer but the right ones."""
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "k-1"}
    with serving(world.app) as one, serving(world.app) as other:
        async with httpx.AsyncClient(headers=headers, timeout=30) as http:
            answers = await asyncio.gather(
                *(http.post(f"{(one, other)[number % 2]}/v1/companies", json=BODY) for number in range(10))
            )
            # The address of the server is part of the answer, not of the request.
            last = await http.post(f"{one}/v1/companies", json=BODY)
    assert _count(world, Company) == 1
    assert last.headers["idempotency-replayed"] == "true"
    done = [answer for answer in answers if answer.status_code == 201]
    assert len([answer for answer in done if answer.json()["password"]]) == 1
    assert {answer.json()["id"] for answer in done} == {last.json()["id"]}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency_key_in_use"}


class _Moving(Clock):
    now = NOW


CLOCK = _Moving()


@pytest.fixture(autouse=True)
def begins_at_now() -> None:
    CLOCK.now = NOW


@pytest.mark.parametrize("world_options", [{"clock": CLOCK}])
async def test_a_dead_try_and_an_old_answer_give_way(world: World) -> None:
    """A try that died is done again after its time; an answer is forgotten after 24 hours."""
    await _connect(world, "k-1")
    with world.database.transaction() as session:
        [row] = session.scalars(select(KeptAnswer))
        row.status, row.body = None, None
    held = await _connect(world, "k-1")
    assert (held.status_code, held.json()["code"]) == (409, "idempotency_key_in_use")
    assert held.headers["retry-after"] == "1"
    CLOCK.forward(minutes=2)
    again = await _connect(world, "k-1")
    assert again.json().get("password"), again.text
    assert _count(world, Company) == 2
    CLOCK.now = NOW + timedelta(hours=24)
    assert (await _connect(world, "k-1")).json()["password"]
    assert _count(world, Company) == 3
    assert _count(world, KeptAnswer) == 1
