"""Images, sounds and files as Gemini's parts. Pure.

Bytes go as ``inlineData``. A public address goes as ``fileData``, which Google fetches: only https, only where the
media type is known, and never one of Google's own hosts, at which an address names what the operator's credential may
read and not what anybody may. An id of an uploaded file is refused for the same reason: the operator's uploads are
those of all callers. A file's name is left out, since Gemini has no place for it in a prompt.
"""

from base64 import b64encode
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from omnix_provider.errors import UnsupportedParameter
from omnix_provider.types import Audio, File, Image, Part

from omnix_adapter_gemini.dialect import generation

Body = dict[str, Any]

_AUDIO = MappingProxyType(
    {
        "wav": "audio/wav",
        "mp3": "audio/mp3",
        "aiff": "audio/aiff",
        "aac": "audio/aac",
        "ogg": "audio/ogg",
        "flac": "audio/flac",
        "m4a": "audio/m4a",
        "opus": "audio/opus",
        "webm": "audio/webm",
    }
)
"""https://ai.google.dev/gemini-api/docs/audio#supported-formats"""
_OF_ENDINGS = MappingProxyType(
    {
        "png": "image/png",
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "webp": "image/webp",
        "heic": "image/heic",
        "heif": "image/heif",
        "pdf": "application/pdf",
        "txt": "text/plain",
        "mp4": "video/mp4",
        "mov": "video/quicktime",
        "webm": "video/webm",
        "wav": "audio/wav",
        "mp3": "audio/mp3",
    }
)
_IN_RESULTS = frozenset({"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"})
"""https://ai.google.dev/gemini-api/docs/function-calling#multimodal"""
_DETAILS = MappingProxyType({"low": "MEDIA_RESOLUTION_LOW", "high": "MEDIA_RESOLUTION_HIGH"})
_PER_PART = 3
"""The generation that takes a resolution for each part: https://ai.google.dev/gemini-api/docs/media-resolution."""
_OWN_HOSTS = ("googleapis.com", "google.internal")


def unsupported(param: str) -> UnsupportedParameter:
    return UnsupportedParameter(f"This provider cannot honour {param}.", param=param)


def image(part: Image, where: str, model: str) -> Body:
    """:raises UnsupportedParameter: naming the address or the detail that cannot be honoured."""
    body = (
        _inline(part.data, part.media_type or "image/png")
        if part.data is not None
        else _fetched(part.url or "", part.media_type, f"{where}.image_url.url")
    )
    if part.detail and part.detail != "auto":
        resolution = _DETAILS.get(part.detail)
        if resolution is None or generation(model) < _PER_PART:
            raise unsupported(f"{where}.image_url.detail")
        body["mediaResolution"] = {"level": resolution}
    return body


def audio(part: Audio, where: str) -> Body:
    """:raises UnsupportedParameter: for a format that Gemini does not hear."""
    media_type = _AUDIO.get(part.format.lower())
    if media_type is None:
        raise unsupported(f"{where}.input_audio.format")
    return _inline(part.data, media_type)


def file(part: File, where: str) -> Body:
    """:raises UnsupportedParameter: naming the id or the address, or the file whose media type is not known."""
    if part.file_id is not None:
        raise unsupported(f"{where}.file.file_id")
    if part.data is None:
        return _fetched(part.url or "", part.media_type, f"{where}.file.file_url")
    return _inline(part.data, _media_type(part, where))


def in_result(part: Part, where: str) -> Body:
    """A part of a function's result.

    :raises UnsupportedParameter: for what Gemini takes only from the user.
    """
    match part:
        case Image(data=bytes(), detail="" | "auto"):
            body = _inline(part.data or b"", part.media_type or "image/png")
        case File(data=bytes()):
            body = _inline(part.data or b"", _media_type(part, where))
        case _:
            raise unsupported(where)
    if body["inlineData"]["mimeType"] not in _IN_RESULTS:
        raise unsupported(where)
    return body


def _media_type(part: File, where: str) -> str:
    if part.media_type:
        return part.media_type
    if part.data is not None and part.data[:5] == b"%PDF-":
        return "application/pdf"
    guessed = _OF_ENDINGS.get(_ending(part.filename))
    if guessed is None:
        raise UnsupportedParameter("This provider needs the file's media type.", param=f"{where}.file")
    return guessed


def _inline(data: bytes, media_type: str) -> Body:
    return {"inlineData": {"mimeType": media_type, "data": b64encode(data).decode("ascii")}}


def _fetched(url: str, media_type: str, param: str) -> Body:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".").lower()
    except ValueError as exc:
        raise unsupported(param) from exc
    known = media_type or _OF_ENDINGS.get(_ending(parts.path), "")
    own = any(host == each or host.endswith(f".{each}") for each in _OWN_HOSTS)
    if parts.scheme != "https" or not host or own or not known:
        raise unsupported(param)
    return {"fileData": {"mimeType": known, "fileUri": url}}


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()
