"""The process: whom it calls, and what it answers."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from omnix_kit import runtime
from omnix_kit.runtime import Process
from omnix_provider.service import serving

from omnix_adapter_bedrock.provider import opened
from omnix_adapter_bedrock.settings import Settings
from omnix_adapter_bedrock.upstream import configured


@asynccontextmanager
async def serve(settings: Settings, process: Process) -> AsyncIterator[None]:
    upstream = configured(settings, os.environ)
    async with opened(upstream) as provider, serving(settings, process, [provider]):
        yield


def main() -> None:
    runtime.run("adapter-bedrock", Settings, serve)
