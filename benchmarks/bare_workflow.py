"""A workflow with as many signals and local activities as an export and nothing in them, and its worker.

`python -m benchmarks.bare_workflow PORT` runs the worker until it is ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

TASK_QUEUE = "bare"
THREADS = 16


@activity.defn
def bare_step(name: str, step: int) -> str:
    """Do nothing, but tell whoever measures that it is done: what the name begins with, and the step."""
    os.write(1, f"{name.partition(' ')[0]} {step}\n".encode())  # in one piece, whatever other threads write
    return name


@workflow.defn(name="BareExport")
class BareExport:
    """Prepare, wait for "sent", record it, wait for the outcome, record it."""

    def __init__(self) -> None:
        self._heard: list[str] = []

    @workflow.run
    async def run(self, name: str) -> str:
        """Go through the steps."""
        await self._step(name, 1)
        await workflow.wait_condition(lambda: len(self._heard) >= 1)
        await self._step(name, 2)
        await workflow.wait_condition(lambda: len(self._heard) >= 2)
        return await self._step(name, 3)

    @workflow.signal
    def tell(self, what: str) -> None:
        """Hear a signal."""
        self._heard.append(what)

    @staticmethod
    async def _step(name: str, step: int) -> str:
        return await workflow.execute_local_activity(
            bare_step, args=[name, step], start_to_close_timeout=timedelta(seconds=30)
        )


async def main(port: int) -> None:
    """Run the worker until a signal comes."""
    client = await Client.connect(f"127.0.0.1:{port}")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[BareExport],
        activities=[bare_step],
        activity_executor=ThreadPoolExecutor(THREADS),
        max_concurrent_local_activities=THREADS,
        max_concurrent_activities=THREADS,
    ):
        await stop.wait()
    await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
