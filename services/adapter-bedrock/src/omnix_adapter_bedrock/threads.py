"""Waits of the SDK's own, off the loop."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def off_loop(work: Callable[[], T], name: str) -> T:
    """What ``work`` answers, in a thread of its own.

    The thread keeps no process from ending: the SDK asks metadata servers and sign-in services, which may be silent for
    longer than an operator waits.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def told(answer: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(answer)  # type: ignore[arg-type] # there is an answer where there is no error

    def run() -> None:
        answer, failure = None, None
        try:
            answer = work()
        except BaseException as exc:
            failure = exc
        with suppress(RuntimeError):  # the loop may be over
            loop.call_soon_threadsafe(told, answer, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future
