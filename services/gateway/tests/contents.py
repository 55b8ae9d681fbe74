"""The least that each kind of content is known by."""

from base64 import b64encode

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 16
GIF = b"GIF89a" + b"\0" * 16
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "
PDF = b"%PDF-1.7\n"
MP4 = b"\0\0\0\x18ftypisom\0\0\0\0"
WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm"


def data_url(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{b64encode(content).decode()}"
