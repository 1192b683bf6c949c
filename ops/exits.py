"""Leaving a process that used Temporal."""

from __future__ import annotations

import asyncio

SETTLE_S = 0.1


async def settle() -> None:
    """Let the SDK's native threads come to rest; call it as the last statement of the main coroutine.

    They still run when Python finalises, and about one process in ten then dies of SIGABRT or SIGSEGV *after* all its
    work was done (sdk-python issue 300). A tenth of a second after closing the workers and dropping the client brought
    that to none in all our runs; shorter ones helped too, but were measured on an idle machine.
    """
    await asyncio.sleep(SETTLE_S)
