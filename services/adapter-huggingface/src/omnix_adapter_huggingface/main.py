"""The process: what it calls, and what it answers."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from omnix_kit import runtime
from omnix_kit.runtime import Process
from omnix_provider.service import serving

from omnix_adapter_huggingface.places import configured
from omnix_adapter_huggingface.provider import opened
from omnix_adapter_huggingface.settings import Settings


@asynccontextmanager
async def serve(settings: Settings, process: Process) -> AsyncIterator[None]:
    places = configured(settings, os.environ)
    async with opened(places) as providers, serving(settings, process, providers):
        yield


def main() -> None:
    runtime.run("adapter-huggingface", Settings, serve)
