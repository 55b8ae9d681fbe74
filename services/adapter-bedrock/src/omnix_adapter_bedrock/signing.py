"""The headers by which AWS knows who asks."""

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Protocol

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from omnix_adapter_bedrock.credentials import Credentials

SERVICE = "bedrock"
_CONTENT = {"Content-Type": "application/json"}
_LARGE = 512 * 1024
"""Bytes of a body from which its digest is made off the loop."""


class Authorization(Protocol):
    async def headers(self, path: str, body: bytes) -> Mapping[str, str]:
        """For a POST of the body to the path, which is percent-encoded.

        :raises AuthFailed: when there is nothing to sign with.
        """

    def look_again(self) -> None:
        """AWS did not accept it, or it is time to find one."""

    @property
    def problem(self) -> str | None:
        """Why there is none."""


class Bearer:
    """A Bedrock API key: https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys-use.html."""

    problem: str | None = None

    def __init__(self, token: str) -> None:
        self._headers = {**_CONTENT, "Authorization": f"Bearer {token}"}

    async def headers(self, path: str, body: bytes) -> Mapping[str, str]:
        return self._headers

    def look_again(self) -> None:
        """There is no other."""


class Signature:
    """Signature Version 4, by the SDK's signer: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html."""

    def __init__(self, credentials: Credentials, url: str, region: str) -> None:
        self._credentials = credentials
        self._url = url
        self._region = region

    @property
    def problem(self) -> str | None:
        return self._credentials.problem

    async def headers(self, path: str, body: bytes) -> Mapping[str, str]:
        keys = await self._credentials.current()
        request = AWSRequest("POST", f"{self._url}{path}", data=body, headers=_CONTENT)
        if len(body) >= _LARGE:
            request.headers["X-Amz-Content-SHA256"] = await asyncio.to_thread(_digest, body)
        SigV4Auth(keys, SERVICE, self._region).add_auth(request)
        return dict(request.headers)

    def look_again(self) -> None:
        self._credentials.look_again()


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()
