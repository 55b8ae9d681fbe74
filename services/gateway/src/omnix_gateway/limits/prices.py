"""What requests are about to cost, by what the router says that models cost."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from omnix_kit.errors import OmnixError

_log = logging.getLogger(__name__)

_MILLION: Final = 1_000_000
_KNOWN_FOR: Final = 300.0
_AGAIN_AFTER: Final = 5.0


@dataclass(frozen=True, slots=True)
class Rate:
    """Millionths of a US dollar for a million tokens."""

    input: int
    output: int

    def cost(self, input_tokens: int, output_tokens: int) -> int:
        """Rounded up."""
        return -(-(input_tokens * self.input + output_tokens * self.output) // _MILLION)


Look = Callable[[], Awaitable[Mapping[str, Rate]]]


class Prices:
    """Known for some minutes; what is not known costs nothing until the ledger says what it did."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._rates: Mapping[str, Rate] = {}
        self._until = 0.0
        self._looking: asyncio.Task[None] | None = None

    async def known(self, within: float) -> None:
        """Look them up if it is time; the first time it is waited for, if only so long."""
        if self._until > time.monotonic():
            return
        if self._looking is None:
            self._looking = asyncio.create_task(self._refresh())
            self._looking.add_done_callback(self._looked)
        if not self._rates:
            await asyncio.wait([self._looking], timeout=within)

    async def _refresh(self) -> None:
        try:
            self._rates = await self._look()
            self._until = time.monotonic() + _KNOWN_FOR
        except OmnixError as exc:
            self._until = time.monotonic() + _AGAIN_AFTER
            _log.warning("prices for budgets are not known", extra={"error": exc.message})

    def _looked(self, task: "asyncio.Task[None]") -> None:
        self._looking = None
        if not task.cancelled() and task.exception() is not None:
            _log.error("looking up prices failed by a defect", exc_info=task.exception())

    def cost(self, models: Iterable[str], input_tokens: int, output_tokens: int) -> int:
        """As much as the dearest of them would."""
        rates = [rate for model in models if (rate := self._rates.get(model)) is not None]
        return max((rate.cost(input_tokens, output_tokens) for rate in rates), default=0)

    def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
