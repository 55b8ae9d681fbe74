"""Who may call: a SigV4 signature or a bearer token, as AWS checks them from outside.

The secret of every key is unknown but of one, whose signatures are computed and compared.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, quote

from omnix_sandbox.bedrock.errors import Refusal
from omnix_sandbox.transport import Request

CHECKED_KEY_ID: Final = "AKIASANDBOXCHECKED00"
CHECKED_SECRET: Final = "sandbox/secret+that/is/known+to/every/one"  # noqa: S105 - it opens nothing
LONGEST_SKEW: Final = timedelta(minutes=5)

_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})"
)


def authorize(request: Request, body: bytes) -> None:
    """Take any key but none and `invalid`.

    Raises:
        Refusal: 403.
    """
    given = request.headers.get("Authorization", "").strip()
    scheme, _, token = given.partition(" ")
    if not given or not token.strip():
        raise Refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    if scheme.lower() == "bearer":
        if token.strip() == "invalid":
            raise Refusal(403, "AccessDeniedException", "Invalid API Key format: Must start with pre-defined prefix")
        return
    match = _AUTHORIZATION.fullmatch(given)
    if match is None:
        raise Refusal(403, "IncompleteSignatureException", f"'{scheme}' is not a valid authorization header.")
    _check_signature(request, body, match)


def _check_signature(request: Request, body: bytes, match: re.Match[str]) -> None:
    key_id, day, region, service, signed, signature = match.groups()
    if key_id == "invalid":
        raise Refusal(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
    if service != "bedrock":
        raise Refusal(403, "InvalidSignatureException", "Credential should be scoped to correct service: 'bedrock'.")
    stamp = request.headers.get("X-Amz-Date", "")
    try:
        moment = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as exc:
        raise Refusal(
            403, "IncompleteSignatureException", "Authorization header requires existence of 'X-Amz-Date' header."
        ) from exc
    if abs(datetime.now(UTC) - moment) > LONGEST_SKEW or not stamp.startswith(day):
        raise Refusal(403, "InvalidSignatureException", f"Signature expired: {stamp} is not the current time.")
    if key_id == CHECKED_KEY_ID and not hmac.compare_digest(
        signature, _signature(request, body, (day, region, service), stamp, signed)
    ):
        raise Refusal(
            403,
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
        )


def _signature(request: Request, body: bytes, scope: tuple[str, str, str], stamp: str, signed: str) -> str:
    """What the caller must have computed (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html)."""
    names = signed.split(";")
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names)
    path, _, query = request.raw_path.partition("?")
    # The path is encoded once more than it is on the wire.
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parse_qsl(query, True))
    digest = request.headers.get("X-Amz-Content-SHA256") or hashlib.sha256(body).hexdigest()
    canonical = "\n".join(
        [
            request.method,
            quote(path, safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in pairs),
            headers,
            signed,
            digest,
        ]
    )
    to_sign = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            stamp,
            f"{'/'.join(scope)}/aws4_request",
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{CHECKED_SECRET}".encode()
    for part in (*scope, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()
