"""Which models AWS offers: those that are called by their own id, and the profiles that route a model among regions."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from itertools import islice
from typing import Any

from botocore.config import Config
from botocore.session import Session
from omnix_provider.offered import Offered, offered
from omnix_provider.types import ServedModel

from omnix_adapter_bedrock.families import vendor_of
from omnix_adapter_bedrock.processes import sdk_session
from omnix_adapter_bedrock.threads import off_loop
from omnix_adapter_bedrock.upstream import NAME, Upstream

_AT_MOST = 5000
_CONTROL_PLANE = "bedrock"
_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1})


def kept(upstream: Upstream) -> AbstractAsyncContextManager[Offered]:
    """Asked in the background, in a thread, while inside."""
    if upstream.problem is not None:
        return nullcontext(Offered())
    return offered(NAME, _Lists(upstream).ask)


class _Lists:
    """AWS's control plane, through the SDK."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._client: Any = None
        self._one_at_a_time = threading.Lock()

    async def ask(self) -> Sequence[ServedModel]:
        return await off_loop(self._asked, "aws-models")

    def _asked(self) -> Sequence[ServedModel]:
        if not self._one_at_a_time.acquire(blocking=False):
            raise TimeoutError("the last question has no answer yet")  # more threads would wait for nothing
        try:
            if self._client is None:
                self._client = _client(self._upstream)
            return list(islice(_offered(self._client), _AT_MOST))
        finally:
            self._one_at_a_time.release()


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
    return sdk_session().create_client(_CONTROL_PLANE, region_name=upstream.region, config=_CONFIG)


def _offered(client: Any) -> Iterator[ServedModel]:
    for model in client.list_foundation_models()["modelSummaries"]:
        if "ON_DEMAND" in model.get("inferenceTypesSupported", ("ON_DEMAND",)):
            yield ServedModel(model["modelId"], model.get("providerName", ""))
    for page in client.get_paginator("list_inference_profiles").paginate():
        for profile in page["inferenceProfileSummaries"]:
            if profile.get("status", "ACTIVE") == "ACTIVE":
                yield ServedModel(profile["inferenceProfileId"], vendor_of(profile["inferenceProfileId"]))
