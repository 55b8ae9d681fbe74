"""Images, sounds, documents and films among the parts."""

# ruff: noqa: S101 - these are tests

from base64 import b64encode

from omnix.completion.v1 import completion_pb2 as pb

from omnix_provider.conformance.asking import PNG, holds, question
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor

behaviour = group("Media")

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF"
WAV = b"RIFF\x2c\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80>\x00\x00\x02\x00\x10\x00data"
FILM = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\x00\x00\x00\x08free"
ADDRESS = "https://example.com/cat.png"


@behaviour("an image by its bytes")
async def test_image(vendor: Vendor) -> None:
    request = question("What is this?")
    _add_image(request, PNG)
    answer = await vendor.answer(request)
    assert holds(answer.body, PNG)


@behaviour("several images between texts")
async def test_several_images(vendor: Vendor) -> None:
    request = question("This")
    _add_image(request, PNG)
    request.messages[0].parts.add(text=" and that")
    _add_image(request, PNG + b"\x00")
    answer = await vendor.answer(request)
    assert answer.body.index(_start(PNG)) < answer.body.index(" and that")
    assert holds(answer.body, PNG + b"\x00")


@behaviour("an image by a public address")
async def test_image_by_address(vendor: Vendor) -> None:
    request = question("What is this?")
    request.messages[0].parts.add(image=pb.Image(url=ADDRESS, media_type="image/png"))
    answer = await vendor.answer(request)
    assert ADDRESS in answer.body


@behaviour("an image to be looked at from afar (`detail: low`)")
async def test_image_detail(vendor: Vendor) -> None:
    request = question("What is this?")
    _add_image(request, PNG, detail="low")
    answer = await vendor.answer(request)
    assert holds(answer.body, PNG)
    assert "low" in answer.body.lower()


@behaviour("a sound (`wav`)")
async def test_sound(vendor: Vendor) -> None:
    request = question("What do you hear?")
    request.messages[0].parts.add(audio=pb.Audio(data=WAV, format="wav"))
    answer = await vendor.answer(request)
    assert holds(answer.body, WAV)


@behaviour("a PDF")
async def test_pdf(vendor: Vendor) -> None:
    request = question("What does it say?")
    file = pb.File(data=PDF, media_type="application/pdf", filename="letter.pdf")
    request.messages[0].parts.add(file=file)
    answer = await vendor.answer(request)
    assert holds(answer.body, PDF)


@behaviour("a film")
async def test_film(vendor: Vendor) -> None:
    request = question("What happens?")
    request.messages[0].parts.add(file=pb.File(data=FILM, media_type="video/mp4"))
    answer = await vendor.answer(request)
    assert holds(answer.body, FILM)


def _add_image(request: pb.CompletionRequest, data: bytes, detail: str = "") -> None:
    request.messages[0].parts.add(image=pb.Image(data=data, media_type="image/png", detail=detail))


def _start(data: bytes) -> str:
    return b64encode(data[:30]).decode()


__all__ = [name for name in dir() if name.startswith("test_")]
