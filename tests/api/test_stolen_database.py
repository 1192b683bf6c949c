"""Who steals the database reads no password, ticket or key in it, and with keys set no webhook secret either."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from activities.webhook_signing import SECRET_BYTES, new_secret
from ops.keys import reseal_secrets
from ops.problems import ProblemError
from ops.settings import load_settings
from store.engine import Database
from store.key_ring import new_key, read_key_ring
from store.secret_box import NO_KEYS, SecretBox, SecretLockedError
from store.webhook_tables import Webhook
from store.webhooks import secret_place
from tests.api.conftest import KEY, World

ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
"""The one whose files a test can read."""

OLD = new_key("o" * 20, lambda count: b"o" * count)
NEW = new_key("n" * 20, lambda count: b"n" * count)
HOOKS = "/v1/companies/acme/webhooks"
BODY = {"url": "https://tms.example.com/hook"}


def everything(database: Database, path: Path) -> bytes:
    """The file and what is not in it yet."""
    return b"".join(one.read_bytes() for one in sorted(path.glob("qbd.sqlite*")))


def row_of(database: Database, webhook_id: str) -> Webhook:
    with database.transaction() as session:
        found = session.get(Webhook, webhook_id)
        assert found is not None
        return found


@ON_SQLITE
@pytest.mark.parametrize("world_options", [{"secret_box": SecretBox(read_key_ring(OLD))}])
async def test_no_secret_stands_in_the_file(world: World, tmp_path: Path) -> None:
    """Passwords and keys are hashed, webhook secrets encrypted; each still does what it is for."""
    made = await world.connect()
    hook = (await world.http.post(HOOKS, json=BODY)).json()
    rotated = (await world.http.post(f"{HOOKS}/{hook['id']}/rotate-secret")).json()
    stolen = everything(world.database, tmp_path)
    assert b"tms.example.com/hook" in stolen  # it is the right file
    for secret in (made["password"], hook["secret"], rotated["secret"], KEY):
        plain = secret.removeprefix("whsec_")
        assert plain.encode() not in stolen
        assert base64.b64encode(plain.encode()) not in stolen
    row = row_of(world.database, hook["id"])
    box = SecretBox(read_key_ring(f"{NEW},{OLD}"))
    assert box.open(row.secret, secret_place(row.id)) == rotated["secret"]
    assert row.previous_secret is not None
    assert box.open(row.previous_secret, secret_place(row.id)) == hook["secret"]
    assert len(row.secret) <= 100


@ON_SQLITE
async def test_secrets_from_before_stay_readable_and_are_sealed_by_command(world: World, tmp_path: Path) -> None:
    await world.connect()
    hook = (await world.http.post(HOOKS, json=BODY)).json()
    assert row_of(world.database, hook["id"]).secret == hook["secret"]
    where = {"QBD_DATABASE_URL": f"sqlite:///{tmp_path / 'qbd.sqlite'}"}
    with pytest.raises(ProblemError, match="qbd keys payload"):
        reseal_secrets(load_settings(where))
    assert reseal_secrets(load_settings(where | {"QBD_PAYLOAD_KEYS": OLD})) == 1
    assert reseal_secrets(load_settings(where | {"QBD_PAYLOAD_KEYS": OLD})) == 0
    assert reseal_secrets(load_settings(where | {"QBD_PAYLOAD_KEYS": f"{NEW},{OLD}"})) == 1
    row = row_of(world.database, hook["id"])
    assert SecretBox(read_key_ring(NEW)).open(row.secret, secret_place(row.id)) == hook["secret"]


def test_a_sealed_secret_fits_its_place_and_key_only() -> None:
    secret = new_secret(b"s" * SECRET_BYTES)
    sealed = SecretBox(read_key_ring(OLD)).seal(secret, "webhook/a")
    assert SecretBox(read_key_ring(f"{NEW},{OLD}")).open(sealed, "webhook/a") == secret
    other = new_key("o" * 20, lambda count: b"x" * count)
    for keys, place in ((OLD, "webhook/b"), (NEW, "webhook/a"), (other, "webhook/a"), ("", "webhook/a")):
        with pytest.raises(SecretLockedError):
            SecretBox(read_key_ring(keys)).open(sealed, place)
    assert NO_KEYS.seal(secret, "webhook/a") == secret


@pytest.mark.parametrize(
    "text",
    ["nocolon", "id:short", "id:" + "A" * 44 + "!", ":AAAA", "a b:AAAA", f"{OLD},{OLD}", "i" * 21 + ":AAAA", "id:"],
)
def test_wrong_keys_are_one_line_without_the_key(text: str) -> None:
    with pytest.raises(Exception, match="QBD_PAYLOAD_KEYS") as told:
        load_settings({"QBD_PAYLOAD_KEYS": text})
    assert text.partition(":")[2][:6] not in str(told.value) or not text.partition(":")[2]
    assert len(str(told.value).splitlines()) == 1
    assert OLD.partition(":")[2] not in repr(load_settings({"QBD_PAYLOAD_KEYS": OLD}))


async def test_a_sealed_secret_signs_the_messages(world: World) -> None:
    """The worker opens it for each try; without its key the message waits and says so."""
    from temporalio.testing import ActivityEnvironment

    from activities.webhooks import WebhookActivities
    from store import webhooks
    from tests.api.conftest import NOW
    from tests.support.receiver import receiving
    from workflows.webhook_contracts import DeliveryInput

    await world.connect()
    box = SecretBox(read_key_ring(OLD))
    secret = new_secret(b"s" * SECRET_BYTES)
    with receiving() as receiver:
        with world.database.transaction() as session:
            row = Webhook(
                id="wh_1", company_id="acme", url=receiver.url, events=["export.sent"], created_at=NOW, updated_at=NOW,
                secret=box.seal(secret, secret_place("wh_1")),
            )  # fmt: skip
            session.add(row)
            session.flush()
            webhooks.tell(session, "acme", "export.sent", {"x": 1}, at=NOW, key="k")
            session.flush()
            [message] = webhooks.unstarted(session, now=NOW, limit=5)
        deliver = DeliveryInput(delivery_id=message.id)
        locked = WebhookActivities(world.database, clock=lambda: NOW, allow_private=True)
        with pytest.raises(SecretLockedError, match="QBD_PAYLOAD_KEYS"):
            await ActivityEnvironment().run(locked.deliver, deliver)
        assert not receiver.got
        able = WebhookActivities(world.database, clock=lambda: NOW, allow_private=True, secret_box=box)
        await ActivityEnvironment().run(able.deliver, deliver)
        [(_, headers, body)] = receiver.got
    from activities.webhook_signing import signed_headers

    assert (
        headers["webhook-signature"] == signed_headers(message.id, body, at=NOW, secrets=[secret])["webhook-signature"]
    )
