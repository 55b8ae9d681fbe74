"""What was said before, by whom, and in how many pieces. ``Vendor.answer`` sees that the vendor understood it so."""

# ruff: noqa: S101 - these are tests

from omnix.completion.v1 import completion_pb2 as pb

from omnix_provider.conformance.asking import PNG, conversation, question, spoken
from omnix_provider.conformance.behaviours import group
from omnix_provider.conformance.vendor import Vendor

behaviour = group("Conversations")


@behaviour("a system message")
async def test_system_message(vendor: Vendor) -> None:
    answer = await vendor.answer(question("Who are you?", system="You are a lighthouse."))
    assert spoken(answer.prompt)[0] == ("system", "Youarealighthouse.", 0, ())


@behaviour("a developer's message")
async def test_developer_message(vendor: Vendor) -> None:
    await vendor.answer(conversation(("developer", "Be brief."), ("user", "Who are you?")))


@behaviour("several system messages")
async def test_several_system_messages(vendor: Vendor) -> None:
    await vendor.answer(conversation(("system", "Be brief."), ("system", "Be kind."), ("user", "Who are you?")))


@behaviour("a system message in the middle")
async def test_late_system_message(vendor: Vendor) -> None:
    said = [("user", "Hello."), ("assistant", "Hello!"), ("system", "Be brief."), ("user", "Who are you?")]
    await vendor.answer(conversation(*said))


@behaviour("several turns")
async def test_several_turns(vendor: Vendor) -> None:
    said = [("user", "Hello."), ("assistant", "Grüezi!"), ("user", "And then?"), ("assistant", "Sleep."), ("user", "?")]
    answer = await vendor.answer(conversation(*said))
    assert [turn[0] for turn in spoken(answer.prompt)] == ["user", "assistant", "user", "assistant", "user"]


@behaviour("neighbours of the same role")
async def test_neighbours_of_one_role(vendor: Vendor) -> None:
    said = [("user", "One."), ("user", "Two."), ("assistant", "Three."), ("assistant", "Four."), ("user", "Five.")]
    await vendor.answer(conversation(*said))


@behaviour("a text in several parts")
async def test_text_in_parts(vendor: Vendor) -> None:
    request = question("Part one, ")
    for text in ("part two, ", "👩‍👩‍👧‍👦 and the last."):
        request.messages[0].parts.add(text=text)
    await vendor.answer(request)


@behaviour("an image in an earlier turn")
async def test_image_in_earlier_turn(vendor: Vendor) -> None:
    request = conversation(("user", "What is this?"), ("assistant", "A cat."), ("user", "Are you sure?"))
    request.messages[0].parts.add(image=pb.Image(data=PNG, media_type="image/png"))
    answer = await vendor.answer(request)
    assert [turn[2] for turn in spoken(answer.prompt)] == [1, 0, 0]


@behaviour("a refusal in an earlier turn")
async def test_refusal_in_earlier_turn(vendor: Vendor) -> None:
    request = conversation(("user", "Do what is forbidden."))
    request.messages.add(role=pb.ROLE_ASSISTANT, refusal="No, I will not.")
    request.messages.add(role=pb.ROLE_USER).parts.add(text="Why?")
    answer = await vendor.answer(request)
    assert "No, I will not." in answer.body


@behaviour("any character: scripts, combining signs, control characters, quotes")
async def test_any_character(vendor: Vendor) -> None:
    strange = 'Z̷̢ alg\u200bo "quoted" \\ \x01\x1f \u2028 \ufeff \U0001f468\u200d\U0001f469 עברית 漢字 \U0010fffd'
    answer = await vendor.answer(question(f"[[echo]]{strange}"))
    assert answer.first.text == strange


@behaviour("a prompt of a megabyte")
async def test_long_prompt(vendor: Vendor) -> None:
    await vendor.answer(question("Schön lang. " * 80_000 + "[[tokens=5]]"))


@behaviour("speakers' names")
async def test_names_of_speakers(vendor: Vendor) -> None:
    request = question("Who am I?")
    request.messages[0].name = "anna"
    answer = await vendor.answer(request)
    assert '"anna"' in answer.body


__all__ = [name for name in dir() if name.startswith("test_")]
