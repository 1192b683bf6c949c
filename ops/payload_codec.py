"""Encryption of what Temporal stores: every payload of every client and worker passes here (temporal.md 16).

AES-256-GCM with a random nonce of 96 bits; by NIST SP 800-38D 8.3 one key is good for 2^32 payloads. The whole payload
is encrypted, its own metadata included. Authenticated beside it: the format, the key's id and, where the SDK knows it,
the workflow's id, so that nothing encrypted for one export can be put into another. docs/security.md has the format
for clients in other languages. Ids, type names, signal names and search attributes are no payloads and stay clear.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    ActivitySerializationContext,
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    EncodingPayloadConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from store.key_ring import KeyRing

ENCODING = b"binary/qbd-aes-gcm"
KEY_ID = "key-id"
WORKFLOW_ID = "workflow-id"
NONCE_BYTES = 12


class PayloadLockedError(Exception):
    """A payload cannot be decrypted; the message says why and what to do. A workflow task that meets it is retried."""


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """Encrypts with the current key, decrypts with any; what was never encrypted passes as it is."""

    def __init__(
        self, keys: KeyRing, *, randomness: Callable[[int], bytes] = os.urandom, workflow_id: str | None = None
    ) -> None:
        self._keys = keys
        self._randomness = randomness
        self._workflow_id = workflow_id

    def with_context(self, context: SerializationContext) -> EncryptionCodec:
        """Bind to the workflow that the payload belongs to; without any key there is nothing to bind.

        The SDK asks for each payload, and makes all its converters anew around one that it has not seen.
        """
        if not self._keys.by_id:
            return self
        known = isinstance(context, WorkflowSerializationContext | ActivitySerializationContext)
        workflow_id = context.workflow_id if known else None  # type: ignore[attr-defined]
        return EncryptionCodec(self._keys, randomness=self._randomness, workflow_id=workflow_id)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encrypt, if there is a key; what is encrypted already is left as it is."""
        if self._keys.current is None:
            return list(payloads)
        return [one if _is_encrypted(one) else self._encrypt(one, self._keys.current) for one in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt what is encrypted; raises `PayloadLockedError`."""
        return [self._decrypt(one) if _is_encrypted(one) else one for one in payloads]

    def _encrypt(self, payload: Payload, key_id: str) -> Payload:
        nonce = self._randomness(NONCE_BYTES)
        bound = (self._workflow_id or "").encode()
        sealed = AESGCM(self._keys.by_id[key_id]).encrypt(
            nonce, payload.SerializeToString(), _associated(key_id.encode(), bound)
        )
        metadata = {"encoding": ENCODING, KEY_ID: key_id.encode()} | ({WORKFLOW_ID: bound} if bound else {})
        return Payload(metadata=metadata, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        key_id, bound = payload.metadata[KEY_ID], payload.metadata.get(WORKFLOW_ID, b"")
        if bound and self._workflow_id is not None and bound != self._workflow_id.encode():
            raise PayloadLockedError("A payload was encrypted for another workflow than the one that holds it.")
        shown = key_id.decode("ascii", "replace")[:40]
        key = self._keys.by_id.get(shown)
        if key is None:
            raise PayloadLockedError(
                f"A payload is encrypted with the key {shown!r}, which QBD_PAYLOAD_KEYS does not hold. Add that key "
                "behind the first one and restart this process; nothing is lost meanwhile."
            )
        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(AESGCM(key).decrypt(nonce, sealed, _associated(key_id, bound)))
        except (InvalidTag, DecodeError, ValueError):
            raise PayloadLockedError(
                f"A payload does not fit the key {shown!r} of QBD_PAYLOAD_KEYS: that is another key of the same id, "
                "or the payload was changed. Put the right key there and restart this process; nothing is lost so far."
            ) from None


class KeptConverters(CompositePayloadConverter):
    """Converts as `PydanticPayloadConverter` does, and keeps what it has learnt of the types.

    The SDK makes a new one for each step of a workflow, and a new one of pydantic's begins with an empty cache.
    """

    def __init__(self) -> None:
        super().__init__(*_converters())

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Convert; what is wanted as anything and cannot be converted stays as it is, for its reader to refuse."""
        if type_hints:
            return super().from_payloads(payloads, type_hints)
        return [self._as_anything(payload) for payload in payloads]

    def _as_anything(self, payload: Payload) -> Any:
        try:
            [value] = super().from_payloads([payload])
        except (KeyError, RuntimeError, ValueError):
            return RawValue(payload)
        return value


@cache
def _converters() -> tuple[EncodingPayloadConverter, ...]:
    return tuple(PydanticPayloadConverter().converters.values())


def data_converter(keys: KeyRing) -> DataConverter:
    """Give what every client, worker and replayer of ours converts with.

    With a key, messages and stack traces of failures are encrypted as well. Without one, the codec still stands there:
    what is encrypted is then refused with a clear error instead of being misread.
    """
    codec = EncryptionCodec(keys)
    if keys.current is None:
        return DataConverter(payload_converter_class=KeptConverters, payload_codec=codec)
    return DataConverter(
        payload_converter_class=KeptConverters,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def _is_encrypted(payload: Payload) -> bool:
    return payload.metadata.get("encoding") == ENCODING


def _associated(key_id: bytes, workflow_id: bytes) -> bytes:
    # None of the three can hold a line break, so no two of them read alike.
    return b"\n".join((ENCODING, key_id, workflow_id))
