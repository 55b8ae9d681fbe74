"""The process: which servers it calls, and what it answers."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from omnix_kit import runtime
from omnix_kit.runtime import Process
from omnix_provider.service import serving

from omnix_adapter_openai.provider import opened
from omnix_adapter_openai.settings import Settings
from omnix_adapter_openai.upstreams import configured


@asynccontextmanager
async def serve(settings: Settings, process: Process) -> AsyncIterator[None]:
    upstreams = configured(settings, os.environ)
    async with opened(upstreams) as providers, serving(settings, process, providers):
        yield


def main() -> None:
    runtime.run("adapter-openai", Settings, serve)
