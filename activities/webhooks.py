"""Sending one webhook message: load it, connect to a judged address, post it signed, note how it went."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.webhook_addresses import AddressRefusedError, Lookup, Target, read_target, resolve, system_lookup
from activities.webhook_signing import signed_headers
from store import webhooks
from store.engine import Database
from store.secret_box import NO_KEYS, SecretBox
from store.webhook_tables import Webhook, WebhookDelivery
from store.within import after_commit
from telemetry.instruments import WorkerMetrics
from workflows import webhook_contracts as contracts
from workflows.webhook_contracts import DeliveryInput

log = structlog.get_logger(__name__)

USER_AGENT = "TMS-QuickBooks-Webhooks/1.0"
CONNECT_S = 5.0
ADDRESSES_MAX = 3
TRY_S = 15.0
"""What a receiver gets to answer; Standard Webhooks recommends 15 to 30 seconds."""
ANSWER_BYTES_MAX = 64 * 1024
GONE = 410
"""The receiver says that it wants no messages any more."""
NOT_DELIVERED = "WebhookNotDelivered"


@dataclass(frozen=True, kw_only=True)
class _Message:
    url: str
    body: bytes
    secrets: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class _Result:
    status: int | None = None
    error: str = ""

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class WebhookActivities:
    """The activities over one database."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime],
        allow_private: bool = False,
        lookup: Lookup = system_lookup,
        metrics: WorkerMetrics | None = None,
        secret_box: SecretBox = NO_KEYS,
    ) -> None:
        """`allow_private` lets messages go to private addresses: for development only."""
        self._database = database
        self._clock = clock
        self._allow_private = allow_private
        self._lookup = lookup
        self._secret_box = secret_box
        self._tls = httpx.create_ssl_context()
        self._metrics = metrics or WorkerMetrics(CollectorRegistry())

    @activity.defn(name=contracts.ACTIVITY_DELIVER)
    async def deliver(self, inp: DeliveryInput) -> None:
        """Try once; raises `ApplicationError`, which Temporal retries unless the receiver is gone."""
        message = await asyncio.to_thread(self._load, inp.delivery_id)
        if message is None:
            return
        result = await self._post(inp.delivery_id, message)
        await asyncio.to_thread(self._note, inp.delivery_id, result)
        if not result.is_taken:
            raise ApplicationError(
                result.error,
                type=NOT_DELIVERED,
                non_retryable=result.status == GONE,
                category=ApplicationErrorCategory.BENIGN,
            )

    @activity.defn(name=contracts.ACTIVITY_GIVE_UP)
    async def give_up(self, inp: DeliveryInput) -> None:
        """Note that nobody took it."""
        await asyncio.to_thread(self._close, inp.delivery_id)

    def _close(self, delivery_id: str) -> None:
        with self._database.transaction() as session:
            row = webhooks.delivery(session, delivery_id, lock=True)
            if row is not None and row.state == webhooks.PENDING:
                row.state = webhooks.FAILED
                row.finished_at = self._clock()
                self._told(session, row)

    def _load(self, delivery_id: str) -> _Message | None:
        """Give what to send; None when there is nothing to do any more."""
        now = self._clock()
        with self._database.transaction() as session:
            row, owner = _found(session, delivery_id)
            if row is None or row.state != webhooks.PENDING:
                return None
            if owner is None or not owner.enabled:
                row.state = webhooks.FAILED
                row.last_error = "The webhook was switched off."
                row.finished_at = now
                self._told(session, row)
                return None
            stored = [owner.secret]
            if owner.previous_secret is not None and (owner.previous_until or now) > now:
                stored.append(owner.previous_secret)
            secrets = [self._secret_box.open(one, webhooks.secret_place(owner.id)) for one in stored]
            body = json.dumps(row.payload, separators=(",", ":")).encode()
            return _Message(url=owner.url, body=body, secrets=secrets)

    async def _post(self, delivery_id: str, message: _Message) -> _Result:
        try:
            async with asyncio.timeout(TRY_S):
                return await self._post_once(delivery_id, message)
        except AddressRefusedError as error:
            return _Result(error=f"The address cannot be used: {error}.")
        except (TimeoutError, httpx.TimeoutException):
            return _Result(error=f"No answer within {TRY_S:.0f} seconds.")
        except (httpx.HTTPError, OSError) as error:
            # The kind only: messages of the network name addresses behind the receiver's name.
            return _Result(error=f"No connection ({type(error).__name__}).")

    async def _post_once(self, delivery_id: str, message: _Message) -> _Result:
        target = read_target(message.url, allow_private=self._allow_private)
        *others, last = (await resolve(target, allow_private=self._allow_private, lookup=self._lookup))[:ADDRESSES_MAX]
        for address in others:
            try:
                return await self._post_to(address, target, delivery_id, message)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # a machine without IPv6, for example
        return await self._post_to(last, target, delivery_id, message)

    async def _post_to(self, address: str, target: Target, delivery_id: str, message: _Message) -> _Result:
        url = httpx.URL(message.url)
        headers = {
            **signed_headers(delivery_id, message.body, at=self._clock(), secrets=message.secrets),
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "Host": url.netloc.decode("ascii"),
        }
        # A client of its own: cookies and open connections of one receiver are no business of another.
        async with (
            httpx.AsyncClient(
                verify=self._tls, trust_env=False, timeout=httpx.Timeout(TRY_S, connect=CONNECT_S)
            ) as client,
            client.stream(
                "POST",
                url.copy_with(host=address),
                content=message.body,
                headers=headers,
                follow_redirects=False,
                extensions={"sni_hostname": target.host},
            ) as response,
        ):
            if 200 <= response.status_code < 300:
                await _drain(response)
                return _Result(status=response.status_code)
            return _Result(status=response.status_code, error=f"The receiver answered {response.status_code}.")

    def _note(self, delivery_id: str, result: _Result) -> None:
        now = self._clock()
        with self._database.transaction() as session:
            # In the order in which deleting a webhook locks: first it, then its messages.
            row, owner = _found(session, delivery_id, lock_webhook=result.status == GONE)
            if row is None:
                return
            row.attempts += 1
            result_label = "taken" if result.is_taken else "refused"
            after_commit(session, self._metrics.webhook_tries.labels(result_label).inc)
            row.last_attempt_at = now
            row.last_status = result.status
            row.last_error = result.error[: webhooks.ERROR_MAX]
            if result.is_taken:
                row.state = webhooks.DELIVERED
                row.finished_at = now
                self._told(session, row)
            elif result.status == GONE and owner is not None:
                owner.enabled = False
                owner.disabled_reason = "The receiver answered 410 Gone."
                owner.updated_at = now

    def _told(self, session: Session, row: WebhookDelivery) -> None:
        state = row.state
        named = {"company": row.company_id, "webhook": row.webhook_id, "delivery": row.id, "attempts": row.attempts}

        def tell() -> None:
            self._metrics.webhook_messages.labels(state).inc()
            log.info("webhook message ends", **named, state=state)

        after_commit(session, tell)


async def _drain(response: httpx.Response) -> None:
    """Let a receiver finish its small answer; what is longer, or slow, is cut off."""
    received = 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        if received >= ANSWER_BYTES_MAX:
            return


def _found(
    session: Session, delivery_id: str, *, lock_webhook: bool = False
) -> tuple[WebhookDelivery | None, Webhook | None]:
    if lock_webhook:
        seen = webhooks.delivery(session, delivery_id)
        if seen is not None:
            webhooks.webhook(session, seen.company_id, seen.webhook_id, lock=True)
    row = webhooks.delivery(session, delivery_id, lock=True)
    return row, session.get(Webhook, row.webhook_id) if row is not None else None
