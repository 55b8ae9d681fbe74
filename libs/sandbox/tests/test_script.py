from omnix_sandbox import script
from omnix_sandbox.openai.request import prompt_of
from omnix_sandbox.script import FinishReason, Message, Prompt, Tool, ToolCall

WEATHER = Tool(
    "get_weather",
    "The weather now",
    {"type": "object", "properties": {"city": {"type": "string", "enum": ["Zürich"]}}, "required": ["city"]},
)


def test_the_same_messages_get_the_same_answer_from_every_model() -> None:
    plain = script.answer(script.user("Grüezi", model="gpt-4o"))

    assert plain == script.answer(script.user("Grüezi", model="sandbox-cut-after-5"))
    assert plain != script.answer(script.user("Grüezi!", model="gpt-4o"))
    assert plain != script.answer(script.user("Grüezi", model="sandbox-vary-b"))


def test_how_content_is_cut_into_parts_does_not_matter() -> None:
    one = prompt_of({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hallo Welt"}]})
    parts = [{"type": "text", "text": "Hallo"}, {"type": "text", "text": " Welt"}]
    two = prompt_of({"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]})

    assert script.answer(one) == script.answer(two)


def test_answers_hold_more_than_ascii() -> None:
    text = script.answer(script.user("x [[tokens=20000]]")).text
    signs = ["ü", "東", "👩‍👩‍👧‍👦", "🇨🇭", "\u0301", '"', "\\", "\n"]

    assert [sign for sign in signs if sign not in text] == []


def test_a_limit_cuts_the_same_answer_short() -> None:
    whole = script.answer(script.user("x [[tokens=50]]"))
    limited = script.answer(script.user("x [[tokens=50]]", max_tokens=10))

    assert (limited.finish, limited.tokens) == (FinishReason.LENGTH, whole.tokens[:10])
    assert script.answer(script.user("x [[tokens=50]]", max_tokens=50)).finish is FinishReason.STOP


def test_a_stop_sequence_ends_the_answer_before_it() -> None:
    stopped = script.answer(script.user("[[echo]] eins zwei drei", stop=("zwei",)))

    assert (stopped.text, stopped.finish) == ("eins ", FinishReason.STOP)


def test_echo_answers_with_the_text_without_directives() -> None:
    assert script.answer(script.user("[[echo]] Grüß 🇨🇭 [[pace=5]]")).text == "Grüß 🇨🇭"


def test_choices_differ() -> None:
    first, second = script.answers(script.user("x", choices=2))

    assert first == script.answer(script.user("x"))
    assert first.text != second.text


def test_offered_tools_are_called_and_others_are_not() -> None:
    text = '[[tool=get_weather {"city":"Zürich"}]][[tool=get_weather]][[tool=launch]]'
    called = script.answer(script.user(text, tools=(WEATHER,)))

    assert called.finish is FinishReason.TOOL_CALLS
    assert called.tool_calls == (
        ToolCall("get_weather", '{"city":"Zürich"}'),
        ToolCall("get_weather", '{"city":"Zürich"}'),
    )
    assert len(script.answer(script.user(text, tools=(WEATHER,), parallel_calls=False)).tool_calls) == 1
    assert script.answer(script.user(text)).tool_calls == ()
    assert script.answer(script.user(text, tools=(WEATHER,), may_call=False)).tool_calls == ()


def test_a_required_tool_is_called_without_a_directive() -> None:
    called = script.answer(script.user("x", tools=(WEATHER,), must_call=""))

    assert called.tool_calls == (ToolCall("get_weather", '{"city":"Zürich"}'),)


def test_results_are_answered_with_text() -> None:
    prompt = Prompt(
        messages=(Message("user", "[[tool=get_weather]]"), Message("assistant", ""), Message("tool", "sunny")),
        tools=(WEATHER,),
    )

    assert script.answer(prompt).tool_calls == ()
    assert script.answer(prompt).text


def test_input_tokens_count_texts_attachments_and_tools() -> None:
    plain = script.input_tokens(script.user("eins zwei"))

    assert plain == 3 + 4 + script.count_tokens("eins zwei")
    assert script.input_tokens(Prompt((Message("user", "eins zwei", attachments=2),))) == plain + 170
    assert script.input_tokens(script.user("eins zwei", tools=(WEATHER,))) > plain
