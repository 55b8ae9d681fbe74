"""What a caller asks arrives as it was meant."""

from omnix.completion.v1 import completion_pb2 as pb

from .conftest import Gateway
from .contents import PDF, PNG, data_url
from .fakes import Backends

PATH = "/v1/chat/completions"


async def test_everything_asked_arrives(gateway: Gateway, behind: Backends) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": [{"type": "text", "text": "d"}]},
            {
                "role": "user",
                "name": "ann",
                "content": [
                    {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    {"type": "image_url", "image_url": {"url": data_url(PNG, "image/png")}},
                    {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
                    {"type": "file", "file": {"file_data": data_url(PDF, "application/pdf"), "filename": "a.pdf"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "audio": None},
            {"role": "tool", "tool_call_id": "c1", "content": "42"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True}},
        "temperature": 1,
        "top_p": 0.5,
        "frequency_penalty": -1,
        "presence_penalty": 0,
        "max_completion_tokens": 10,
        "n": 2,
        "seed": -5,
        "stop": "x",
        "reasoning_effort": "xhigh",
        "user": "u",
        "metadata": {"k": "v"},
        "mode": "ultra-think",
        "reasoning": {"budget_tokens": 100, "include": True},
        "top_k": 3,
        "service_tier": "flex",
        "store": False,
        "logit_bias": {"5": -100},
        "prediction": {"type": "content", "content": "x"},
        "verbosity": "low",
        "logprobs": True,
        "top_logprobs": 5,
        "modalities": ["text"],
    }
    answer = await gateway.http.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    asked = behind.router.asked[0]
    assert (asked.caller.tenant_id, asked.caller.key_id) == ("default", "member")
    request = asked.request
    user = request.messages[2]
    assert [part.WhichOneof("kind") for part in user.parts] == ["text", "image", "audio", "file", "file"]
    assert user.parts[0].cache_breakpoint
    assert (user.parts[1].image.data, user.parts[1].image.media_type) == (PNG, "image/png")
    assert (user.parts[2].audio.data, user.parts[2].audio.format) == (b"ABC", "wav")
    assert (user.parts[3].file.media_type, user.parts[3].file.data) == ("application/pdf", PDF)
    assert [message.role for message in request.messages] == [
        pb.ROLE_SYSTEM,
        pb.ROLE_DEVELOPER,
        pb.ROLE_USER,
        pb.ROLE_ASSISTANT,
        pb.ROLE_TOOL,
    ]
    assert request.messages[3].tool_calls[0].arguments_json == "{}"
    assert request.tools[0].parameters_json == '{"type":"object"}'
    assert (request.tool_choice.mode, request.tool_choice.name) == (pb.ToolChoice.MODE_NAMED, "f")
    assert (request.response_format.schema_json, request.response_format.strict) == ('{"a":1}', True)
    assert (request.sampling.temperature, request.sampling.presence_penalty, request.sampling.top_k) == (1, 0, 3)
    assert request.sampling.HasField("presence_penalty")
    assert (request.max_output_tokens, request.candidate_count, request.seed) == (10, 2, -5)
    assert list(request.stop) == ["x"]
    assert (request.logprobs, request.top_logprobs) == (True, 5)
    assert request.reasoning.effort == pb.Reasoning.EFFORT_EXTRA_HIGH
    assert (request.reasoning.budget_tokens, request.reasoning.include) == (100, True)
    assert request.compute_mode == pb.COMPUTE_MODE_ULTRA_THINK
    assert (request.end_user, dict(request.metadata)) == ("u", {"k": "v"})
    assert dict(request.vendor_parameters) == {
        "service_tier": '"flex"',
        "store": "false",
        "logit_bias": '{"5":-100}',
        "prediction": '{"type":"content","content":"x"}',
        "verbosity": '"low"',
    }
    assert not request.HasField("parallel_tool_calls") or request.parallel_tool_calls is False


async def test_a_tool_that_failed_is_told(gateway: Gateway, behind: Backends) -> None:
    calls = [{"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}} for name in "abc"]
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "no such file", "is_error": True},
        {"role": "tool", "tool_call_id": "b", "content": "42", "is_error": False},
        {"role": "tool", "tool_call_id": "c", "content": "43"},
    ]
    answer = await gateway.http.post(PATH, json={"model": "m", "messages": messages})
    assert answer.status_code == 200, answer.text
    assert [each.tool_failed for each in behind.router.asked[-1].request.messages] == [False, False, True, False, False]
