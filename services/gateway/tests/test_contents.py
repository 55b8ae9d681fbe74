"""Images, films and documents: what they are is looked at, and how much of them there may be."""

from typing import Any

from omnix.completion.v1 import completion_pb2 as pb

from .conftest import Gateway, Start
from .contents import GIF, JPEG, MP4, PDF, PNG, WEBM, WEBP, data_url
from .fakes import Backends

PATH = "/v1/chat/completions"


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def video(url: str) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": url}}


def file(**source: str) -> dict[str, Any]:
    return {"type": "file", "file": source}


def asking(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": list(parts)}]}


async def parts_of(gateway: Gateway, behind: Backends, *parts: dict[str, Any]) -> list[pb.Part]:
    answer = await gateway.http.post(PATH, json=asking(*parts))
    assert answer.status_code == 200, answer.text
    return list(behind.router.asked[-1].request.messages[0].parts)


async def test_the_bytes_tell_what_an_image_is(gateway: Gateway, behind: Backends) -> None:
    found = await parts_of(
        gateway,
        behind,
        image(data_url(PNG, "image/png")),
        image(data_url(JPEG, "image/png")),
        image(data_url(GIF, "")),
        image(data_url(WEBP, "application/octet-stream")),
    )
    assert [part.image.media_type for part in found] == ["image/png", "image/jpeg", "image/gif", "image/webp"]
    assert [part.image.data for part in found] == [PNG, JPEG, GIF, WEBP]


async def test_films_are_files_of_their_type(gateway: Gateway, behind: Backends) -> None:
    found = await parts_of(
        gateway,
        behind,
        video(data_url(MP4, "video/mp4")),
        video(data_url(WEBM, "video/mp4")),
        file(file_data=data_url(MP4, "video/mp4"), filename="a.mp4"),
    )
    assert [(part.file.media_type, part.file.data) for part in found] == [
        ("video/mp4", MP4),
        ("video/webm", WEBM),
        ("video/mp4", MP4),
    ]


async def test_documents_are_told_by_bytes_declaration_or_name(gateway: Gateway, behind: Backends) -> None:
    behind_a_mark = b"\xef\xbb\xbf" + PDF
    found = await parts_of(
        gateway,
        behind,
        file(file_data=data_url(PDF, "application/pdf"), filename="a.pdf"),
        file(file_data=data_url(PDF, "")[13:]),
        file(file_data=data_url(behind_a_mark, "application/pdf")),
        file(file_data=data_url(b"a,b", "text/csv;charset=utf-8")),
        file(file_data=data_url(b"a,b", "application/octet-stream"), filename="a.CSV"),
        file(file_data=data_url(b"how to write %PDF-", "text/plain")),
        file(file_id="file-1"),
    )
    assert [part.file.media_type for part in found] == [
        "application/pdf",
        "application/pdf",
        "application/pdf",
        "text/csv",
        "text/csv",
        "text/plain",
        "",
    ]
    assert (found[0].file.filename, found[6].file.file_id) == ("a.pdf", "file-1")


IMAGE, VIDEO = "image_url.url", "video_url.url"
LIES = [
    (image(data_url(b"<html>", "image/png")), IMAGE),
    (image(data_url(b"<svg/>", "image/svg+xml")), IMAGE),
    (image(data_url(PDF, "application/pdf")), IMAGE),
    (image(data_url(MP4, "image/png")), IMAGE),
    (image(data_url(b"", "image/png")), IMAGE),
    (video(data_url(PNG, "video/mp4")), VIDEO),
    (video(data_url(b"abc", "video/mp4")), VIDEO),
    (video(data_url(MP4, "image/png")), VIDEO),
    (file(file_data=data_url(b"abc", "application/pdf")), "file.file_data"),
    (file(file_data=data_url(PDF, "text/plain")), "file.file_data"),
    (file(file_data=data_url(PNG, "image/png")), "file.file_data"),
    (file(file_data=data_url(b"abc", "video/mp4")), "file.file_data"),
    (file(file_data=data_url(b"abc", "not a type")), "file.file_data"),
    (file(file_data="QUJD"), "file.file_data"),
    (file(file_data="%%%"), "file.file_data"),
    (file(filename="a.pdf"), "file"),
    (file(file_id="file-1", file_data="QUJD"), "file"),
]


async def test_content_that_is_something_else_is_refused_by_name(gateway: Gateway, behind: Backends) -> None:
    for part, param in LIES:
        refused = await gateway.http.post(PATH, json=asking({"type": "text", "text": "a"}, part))
        error = refused.json()["error"]
        assert (refused.status_code, error["param"]) == (400, f"messages.0.content.1.{param}"), (part, error)
    assert behind.router.asked == []


async def test_each_kind_has_its_limit_and_all_together_have_one(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(image_limit=2048, file_limit=4096, media_limit=6000, json_limit=20_000)
    small, large = data_url(PNG + b"a" * 1024, "image/png"), data_url(PNG + b"a" * 2048, "image/png")
    document = file(file_data=data_url(PDF + b"a" * 3000, "application/pdf"))
    await parts_of(gateway, behind, image(small), document)
    for parts, param in (
        ([image(large)], "messages.0.content.0.image_url.url"),
        ([document, document], "messages.0.content.1.file.file_data"),
        ([image(small)] * 6, "messages.0.content.5.image_url.url"),
    ):
        refused = await gateway.http.post(PATH, json=asking(*parts))
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["param"]) == (413, "payload_too_large", param)


async def test_the_number_of_media_is_bounded(start: Start, behind: Backends) -> None:
    gateway: Gateway = await start(media_parts=2)
    part = image(data_url(PNG, "image/png"))
    await parts_of(gateway, behind, part, part)
    refused = await gateway.http.post(PATH, json=asking(part, part, part))
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "messages.0.content.2.image_url.url")


async def test_tools_may_answer_with_images_and_files(gateway: Gateway, behind: Backends) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {
        "model": "m",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": [
                    {"type": "text", "text": "here"},
                    image(data_url(PNG, "image/png")),
                    file(file_data=data_url(PDF, "application/pdf")),
                ],
            },
        ],
    }
    assert (await gateway.http.post(PATH, json=body)).status_code == 200
    told = behind.router.asked[0].request.messages[2]
    assert (told.role, told.tool_call_id) == (pb.ROLE_TOOL, "c1")
    assert [part.WhichOneof("kind") for part in told.parts] == ["text", "image", "file"]
    assert (told.parts[1].image.data, told.parts[2].file.data) == (PNG, PDF)
