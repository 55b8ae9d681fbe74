"""The process: which of Google's services it calls, and what it answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from omnix_kit import runtime
from omnix_kit.runtime import Process
from omnix_provider.service import serving

from omnix_adapter_gemini.provider import opened
from omnix_adapter_gemini.settings import Settings
from omnix_adapter_gemini.upstream import configured


@asynccontextmanager
async def serve(settings: Settings, process: Process) -> AsyncIterator[None]:
    upstream = configured(settings)
    async with opened(upstream, settings.application_credentials) as provider, serving(settings, process, [provider]):
        yield


def main() -> None:
    runtime.run("adapter-gemini", Settings, serve)
