"""The SDK's session, whose ``credential_process`` ends after a while, whether it wants or not.

The SDK itself waits for that program without end, and with it whoever needs the credentials.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from botocore.credentials import AssumeRoleProvider, ProcessProvider
from botocore.session import Session

_ENDS_WITHIN = 60.0
"""Seconds, as in AWS's SDK for Go: https://pkg.go.dev/github.com/aws/aws-sdk-go-v2/credentials/processcreds."""
_KILLED_WITHIN = 5.0


class ProcessTooSlow(Exception):
    """A ``credential_process`` was ended because it did not end by itself."""


def sdk_session() -> Session:
    """It finds credentials as AWS's variables and files say; making it asks nobody."""
    session = Session()
    for provider in session.get_component("credential_provider").providers:
        if isinstance(provider, ProcessProvider):
            _bounded(provider)
        elif isinstance(provider, AssumeRoleProvider):
            _bounded_for_roles(provider._profile_provider_builder)
    return session


def _bounded(provider: Any) -> Any:
    provider._popen = _Process
    return provider


def _bounded_for_roles(profiles: Any) -> None:
    """A role's ``source_profile`` may have a process too; the SDK makes its provider when it needs one."""
    create = profiles._create_process_provider
    profiles._create_process_provider = lambda profile_name: _bounded(create(profile_name))


class _Process(subprocess.Popen[bytes]):
    """With all that it starts, it is a group, which is killed as a whole: a shell's child would hold the pipe."""

    def __init__(self, command: Sequence[str], **how: Any) -> None:
        super().__init__(command, start_new_session=True, **how)

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:
        with suppress(subprocess.TimeoutExpired):  # its words have the command, which may hold a secret
            return super().communicate(input, _ENDS_WITHIN)
        self._end()
        raise ProcessTooSlow(f"the credential_process did not end within {_ENDS_WITHIN:g} s")

    def _end(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for pipe in (self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        with suppress(subprocess.TimeoutExpired):
            self.wait(_KILLED_WITHIN)
