"""Which models AWS offers, asked in the background and never while somebody waits."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session
from omnix_kit.errors import OmnixError
from omnix_provider.background import background
from omnix_provider.types import ServedModel

from omnix_adapter_bedrock.families import vendor_of
from omnix_adapter_bedrock.threads import off_loop
from omnix_adapter_bedrock.upstream import NAME, Upstream

_log = logging.getLogger(__name__)

_REFRESH_EVERY = 300.0
_RETRY_AFTER = 1.0
_RETRY_AT_LEAST_EVERY = 30.0
_ANSWER_WITHIN = 60.0
_AT_MOST = 5000
_CONTROL_PLANE = "bedrock"
_CONFIG = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})

Ready = Callable[[], Awaitable[None]]
"""Tries for credentials; raises when there are none."""


class Models:
    """What AWS offered when it was last asked."""

    def __init__(self, upstream: Upstream) -> None:
        self.current: Sequence[ServedModel] = ()
        self._upstream = upstream
        self._client: Any = None

    @classmethod
    @asynccontextmanager
    async def kept(cls, upstream: Upstream, ready: Ready) -> AsyncIterator["Models"]:
        """Asked anew from time to time while inside.

        :param ready: comes first, so that credentials that appear later are found without a caller.
        """
        models = cls(upstream)
        if upstream.problem is not None:
            yield models
            return

        async def work() -> None:
            await models._refresh(ready)

        async with background(work):
            yield models

    async def _refresh(self, ready: Ready) -> None:
        pause = _RETRY_AFTER
        while True:
            try:
                await ready()
                async with asyncio.timeout(_ANSWER_WITHIN):
                    self.current = await off_loop(self._asked, "aws-models")
                pause = _REFRESH_EVERY
            except (OmnixError, BotoCoreError, ClientError, TimeoutError, LookupError, ValueError, TypeError) as exc:
                _log.info("models are not known", extra={"provider": NAME, "error": type(exc).__name__})
                pause = _RETRY_AFTER if pause == _REFRESH_EVERY else min(pause * 2, _RETRY_AT_LEAST_EVERY)
            await asyncio.sleep(pause)

    def _asked(self) -> Sequence[ServedModel]:
        if self._client is None:
            self._client = _client(self._upstream)
        return list(islice(_offered(self._client), _AT_MOST))


def _client(upstream: Upstream) -> Any:
    if upstream.sandbox:
        return Session().create_client(
            _CONTROL_PLANE,
            region_name=upstream.region,
            endpoint_url=upstream.url,
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",  # noqa: S106 - the sandbox believes any
            config=_CONFIG,
        )
    return Session().create_client(_CONTROL_PLANE, region_name=upstream.region, config=_CONFIG)


def _offered(client: Any) -> Iterator[ServedModel]:
    """Models that are called by their own id, then profiles that route a model among regions."""
    for model in client.list_foundation_models()["modelSummaries"]:
        if "ON_DEMAND" in model.get("inferenceTypesSupported", ("ON_DEMAND",)):
            yield ServedModel(model["modelId"], model.get("providerName", ""))
    for page in client.get_paginator("list_inference_profiles").paginate():
        for profile in page["inferenceProfileSummaries"]:
            if profile.get("status", "ACTIVE") == "ACTIVE":
                yield ServedModel(profile["inferenceProfileId"], vendor_of(profile["inferenceProfileId"]))
