"""Images, films and documents of one request: what they are, and how much of them there may be. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from omnix_kit.addresses import NotPublicError, Rules
from omnix_kit.errors import CallerError, Reason

from omnix_gateway.errors import invalid

_MIB: Final = 1024 * 1024
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,62}/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}")
_ANYTHING: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-download"})
"""What servers say of content that they know nothing of."""
_PDF: Final = "application/pdf"
_PDF_BEGINNING: Final = b"%PDF-"
_PDF_BEGINS_WITHIN: Final = 1024
"""Readers of PDF look so far, because writers put other things before it."""
IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/heic", "image/heif"})

_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-wmv"),
)
_RIFF: Final = {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo", b"WAVE": "audio/wav"}
_BRANDS: Final = {
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
}
_ENDINGS: Final = {
    "pdf": _PDF,
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "htm": "text/html",
    "xml": "text/xml",
    "json": "application/json",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_EBML: Final = b"\x1a\x45\xdf\xa3"


class Kind(Enum):
    IMAGE = "image"
    AUDIO = "audio"
    FILE = "file"
    VIDEO = "video"


class FromAddresses(Enum):
    """What happens to an address that a caller gives in place of the content."""

    FETCH = "fetch"
    """The gateway fetches it, so that it means the same at every vendor."""
    PASS = "pass"  # noqa: S105
    """The vendor fetches it; those that do not refuse it by name."""
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class MediaLimits:
    """Bytes, decoded; ``parts`` is how many one request may have, ``total`` what they may have together."""

    image: int = 10 * _MIB
    audio: int = 20 * _MIB
    file: int = 20 * _MIB
    video: int = 20 * _MIB
    total: int = 20 * _MIB
    parts: int = 100

    def of(self, kind: Kind) -> int:
        match kind:
            case Kind.IMAGE:
                return self.image
            case Kind.AUDIO:
                return self.audio
            case Kind.FILE:
                return self.file
            case Kind.VIDEO:
                return self.video


@dataclass(frozen=True, slots=True)
class MediaRules:
    limits: MediaLimits
    addresses: FromAddresses
    places: Rules
    """Where addresses may lead."""


@dataclass(frozen=True, slots=True)
class Sought:
    """An address whose content takes the place of a part."""

    message: int
    part: int
    url: str
    kind: Kind
    param: str
    filename: str


class Media:
    """What one request brings, and what is to be fetched for it."""

    __slots__ = ("_parts", "_rules", "_total", "sought")

    def __init__(self, rules: MediaRules) -> None:
        self._rules = rules
        self._parts = 0
        self._total = 0
        self.sought: list[Sought] = []

    def limit_of(self, kind: Kind) -> int:
        return self._rules.limits.of(kind)

    def has(self, kind: Kind, data: bytes, param: str) -> None:
        """Count what came inside the request.

        :raises CallerError: ``PAYLOAD_TOO_LARGE``.
        """
        limit = self.limit_of(kind)
        if len(data) > limit:
            raise _too_large(f"The {kind.value} is larger than {limit} bytes.", param)
        if not data:
            raise invalid(f"The {kind.value} is empty.", param)
        self._count(param)
        self.take(len(data), param)

    def seek(self, sought: Sought) -> bool:
        """Whether an address is to be fetched, or otherwise passed on.

        :raises CallerError: when it is not public as it is written, or none is taken.
        """
        self._count(sought.param)
        if self._rules.addresses is FromAddresses.REFUSE:
            raise invalid("Addresses are not taken here; send the content as a data URL.", sought.param)
        try:
            self._rules.places.place_of(sought.url)
        except NotPublicError as exc:
            raise invalid(f"{exc} A data URL is the other way.", sought.param) from None
        if self._rules.addresses is FromAddresses.PASS:
            return False
        self.sought.append(sought)
        return True

    def take(self, size: int, param: str) -> None:
        """:raises CallerError: ``PAYLOAD_TOO_LARGE`` when everything together is too much."""
        self._total += size
        if self._total > self._rules.limits.total:
            raise _too_large(
                f"All media of the request together are larger than {self._rules.limits.total} bytes.", param
            )

    def _count(self, param: str) -> None:
        self._parts += 1
        if self._parts > self._rules.limits.parts:
            raise invalid(f"A request may have at most {self._rules.limits.parts} images, sounds and files.", param)


def _too_large(message: str, param: str) -> CallerError:
    return CallerError(message, reason=Reason.PAYLOAD_TOO_LARGE, param=param)


def sniffed(data: bytes) -> str:
    """What content is by its first bytes; empty when they tell nothing."""
    for beginning, media_type in _BEGINNINGS:
        if data.startswith(beginning):
            return media_type
    if data.startswith(b"RIFF"):
        return _RIFF.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        return "video/3gpp" if brand.startswith(b"3g") else _BRANDS.get(brand, "video/mp4")
    if data.startswith(_EBML):
        return "video/webm" if b"webm" in data[:64] else "video/x-matroska"
    return _PDF if data.startswith(_PDF_BEGINNING) else ""


def accepts(kind: Kind) -> Callable[[str], bool]:
    """Whether a server that tells this media type may hold what is sought; its bytes are looked at later."""
    family = {Kind.IMAGE: "image/", Kind.VIDEO: "video/", Kind.AUDIO: "audio/", Kind.FILE: ""}[kind]
    return lambda told: told in _ANYTHING or bool(_MEDIA_TYPE.fullmatch(told) and told.startswith(family))


def checked_type(kind: Kind, data: bytes, declared: str, filename: str, param: str) -> str:
    """The media type that vendors are told: what the bytes say, and what was declared where they say nothing.

    :raises CallerError: when the bytes are something else than the part is for, or than was declared.
    """
    if declared not in _ANYTHING and not accepts(kind)(declared):
        raise invalid(f"'{declared[:80]}' is no media type of what this part is for.", param)
    found = sniffed(data)
    match kind:
        case Kind.IMAGE:
            if found not in IMAGES:
                raise invalid("The content is no PNG, JPEG, GIF, WebP, HEIC or HEIF image.", param)
            return found
        case Kind.VIDEO:
            if not found.startswith("video/"):
                raise invalid(
                    "The content is no film: no MP4, QuickTime, WebM, Matroska, MPEG, FLV, WMV or AVI.", param
                )
            return found
        case Kind.FILE | Kind.AUDIO:
            return _file_type(data, found, declared, filename, param)


def _file_type(data: bytes, found: str, declared: str, filename: str, param: str) -> str:
    if declared in _ANYTHING:
        declared = found or _ENDINGS.get(filename.rpartition(".")[2].lower(), "")
    if not declared:
        raise invalid("What the file is cannot be told; send a data URL with its media type, or a filename.", param)
    if found.startswith("image/"):
        raise invalid("The file is an image; send it as 'image_url'.", param)
    if found.startswith("video/"):
        return found
    is_pdf = found == _PDF or (declared == _PDF and _PDF_BEGINNING in data[:_PDF_BEGINS_WITHIN])
    if is_pdf != (declared == _PDF) or declared.startswith("video/"):
        raise invalid(f"The content is not what was declared, '{declared[:80]}'.", param)
    return declared
