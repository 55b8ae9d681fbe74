"""Images, sounds, documents and films as Converse names them.

The formats are those of https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html and of
the blocks it links to. Bytes become base64 when the body is encoded.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from omnix_provider.types import Audio, File, Image

from omnix_adapter_bedrock.translate.saying import Body, unsupported

_IMAGES: Mapping[str, str] = MappingProxyType(
    {
        "": "png",
        "image/png": "png",
        "image/jpeg": "jpeg",
        "image/jpg": "jpeg",
        "image/gif": "gif",
        "image/webp": "webp",
    }
)
_SOUNDS = frozenset(
    {"mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"}
)
_FILMS: Mapping[str, str] = MappingProxyType(
    {
        "video/mp4": "mp4",
        "video/quicktime": "mov",
        "video/mov": "mov",
        "video/x-matroska": "mkv",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/flv": "flv",
        "video/mpeg": "mpeg",
        "video/mpg": "mpg",
        "video/x-ms-wmv": "wmv",
        "video/wmv": "wmv",
        "video/3gpp": "three_gp",
    }
)
_DOCUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    }
)
_UNTOLD = frozenset({"", "application/octet-stream"})
_NOT_IN_A_NAME = re.compile(r"[^0-9A-Za-z\-()\[\]]+")
_LONGEST_NAME = 200


def image_block(image: Image, where: str) -> Body:
    """Bedrock always looks closely, so ``auto`` and ``high`` are what it does anyway."""
    if image.detail not in ("", "auto", "high"):
        raise unsupported(f"{where}.image_url.detail")
    form = _IMAGES.get(_bare(image.media_type))
    if form is None:
        raise unsupported(where, "Images are PNG, JPEG, GIF or WebP.")
    return {"image": {"format": form, "source": _source(image.data, where)}}


def audio_block(audio: Audio, where: str) -> Body:
    form = audio.format.lower()
    if form not in _SOUNDS:
        raise unsupported(where, "It does not know this format of sound.")
    return {"audio": {"format": form, "source": {"bytes": audio.data}}}


class Documents:
    """The documents and films of one request: a document's name must be allowed, and must not come twice."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def block(self, file: File, where: str) -> Body:
        if file.file_id is not None:
            raise unsupported(where, "It keeps no files by id.")
        media_type = _bare(file.media_type)
        if media_type.startswith("video/"):
            film = _FILMS.get(media_type)
            if film is None:
                raise unsupported(where, "It does not know this format of film.")
            return {"video": {"format": film, "source": _source(file.data, where)}}
        extension = file.filename.rpartition(".")[2].lower()
        form = _DOCUMENTS.get(media_type)
        if form is None and media_type in _UNTOLD and extension in _DOCUMENTS.values():
            form = extension
        if form is None:
            raise unsupported(where, "It does not know this format of document.")
        name = self._name(file.filename)
        return {"document": {"format": form, "name": name, "source": _source(file.data, where)}}

    def _name(self, filename: str) -> str:
        """Letters, digits, hyphens, round and square brackets, and single spaces; other characters become spaces.

        https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html
        """
        stem = filename.rpartition(".")[0] or filename
        name = _NOT_IN_A_NAME.sub(" ", stem).strip()[: _LONGEST_NAME - 8].strip() or "document"
        unique, number = name, 1
        while unique in self._names:
            number += 1
            unique = f"{name} ({number})"
        self._names.add(unique)
        return unique


def _source(data: bytes | None, where: str) -> Body:
    """An address in S3 names what the operator's credentials may read, and not what the caller may: it is refused."""
    if data is None:
        raise unsupported(where, "It takes the content itself, and no address.")
    return {"bytes": data}


def _bare(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()
