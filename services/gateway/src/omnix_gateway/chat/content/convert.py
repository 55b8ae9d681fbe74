"""Parts of messages to protobuf, with what they bring looked at."""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from omnix.completion.v1 import completion_pb2 as pb

from omnix_gateway.chat import translate
from omnix_gateway.chat.content.media import Kind, Media, Sought, checked_type
from omnix_gateway.chat.schema import AudioPart, FilePart, FileSource, ImagePart, TextPart, VideoPart
from omnix_gateway.errors import invalid

ContentPart = TextPart | ImagePart | AudioPart | VideoPart | FilePart


def parts_to_proto(content: str | Sequence[ContentPart], number: int, media: Media) -> list[pb.Part]:
    if isinstance(content, str):
        return [pb.Part(text=content)]
    return [part_to_proto(part, number, index, index, media) for index, part in enumerate(content)]


def part_to_proto(part: ContentPart, number: int, index: int, place: int, media: Media) -> pb.Part:
    """``index`` is where the caller wrote it, ``place`` where it comes to be."""
    proto = pb.Part()
    at = f"messages.{number}.content.{index}"
    if cache := translate.cache(part, at):
        mark_cached(proto, cache)
    match part:
        case TextPart(text=text):
            proto.text = text
        case ImagePart(image_url=image):
            proto.image.detail = image.detail or ""
            param = f"{at}.image_url.url"
            _from_url(proto, Sought(number, place, image.url, Kind.IMAGE, param, ""), media)
        case VideoPart(video_url=video):
            _from_url(proto, Sought(number, place, video.url, Kind.VIDEO, f"{at}.video_url.url", ""), media)
        case AudioPart(input_audio=audio):
            param = f"{at}.input_audio.data"
            proto.audio.data = translate.base64_bytes(audio.data, param)
            proto.audio.format = audio.format
            media.has(Kind.AUDIO, proto.audio.data, param)
        case FilePart(file=file):
            _file(proto, file, Sought(number, place, "", Kind.FILE, f"{at}.file", file.filename or ""), media)
        case _:
            assert_never(part)
    return proto


def mark_cached(proto: pb.Part | pb.Tool, cache: translate.Cache) -> None:
    proto.cache_breakpoint = True
    if cache.seconds is not None:
        proto.cache_ttl.seconds = cache.seconds


def _from_url(proto: pb.Part, sought: Sought, media: Media) -> None:
    inline = translate.inline(sought.url, sought.param)
    if inline is not None:
        _put(proto, sought, inline.data, inline.media_type, media)
    elif not media.seek(sought):
        if sought.kind is Kind.IMAGE:
            proto.image.url = sought.url
        else:
            proto.file.url = sought.url
            # What it is, nobody has seen; the part says what it is for.
            proto.file.media_type = "video/*" if sought.kind is Kind.VIDEO else ""


def _file(proto: pb.Part, source: FileSource, sought: Sought, media: Media) -> None:
    given = [name for name in ("file_data", "file_id", "file_url") if getattr(source, name) is not None]
    if len(given) != 1:
        raise invalid("A file needs exactly one of 'file_data', 'file_id' and 'file_url'.", sought.param)
    proto.file.filename = sought.filename
    sought = replace(sought, param=f"{sought.param}.{given[0]}")
    if source.file_id is not None:
        proto.file.file_id = source.file_id
    elif source.file_url is not None:
        _from_url(proto, replace(sought, url=source.file_url), media)
    elif source.file_data is not None:
        inline = translate.inline(source.file_data, sought.param)
        if inline is None:
            inline = translate.Inline(translate.base64_bytes(source.file_data, sought.param), "")
        _put(proto, sought, inline.data, inline.media_type, media)


def _put(proto: pb.Part, sought: Sought, data: bytes, declared: str, media: Media) -> None:
    media.has(sought.kind, data, sought.param)
    _set(proto, sought, data, checked_type(sought.kind, data, declared, sought.filename, sought.param))


def _set(proto: pb.Part, sought: Sought, data: bytes, media_type: str) -> None:
    target = proto.image if sought.kind is Kind.IMAGE else proto.file
    target.data = data
    target.media_type = media_type


def put_fetched(request: pb.CompletionRequest, sought: Sought, data: bytes, declared: str) -> None:
    """Put what was fetched where its address was asked for.

    :raises CallerError: when it is something else than what was sought.
    """
    media_type = checked_type(sought.kind, data, declared, sought.filename, sought.param)
    _set(request.messages[sought.message].parts[sought.part], sought, data, media_type)
