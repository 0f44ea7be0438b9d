"""How messages come out of aiomqtt: each at once, as a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiomqtt


def handing_to(take: Callable[[aiomqtt.Message], None]) -> type[asyncio.Queue[aiomqtt.Message]]:
    """Return a queue for aiomqtt that is always empty: ``take`` gets each message as it comes.

    Its own way is a queue, a task and a wait for each message, and a rider waits meanwhile.
    """

    class Delivery(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            take(item)

    return Delivery
