"""Answers whose beginning the request gives: no parameter of OpenAI's, but of servers that speak its format.

vLLM, SGLang and their like have two flags (https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html),
DeepSeek and Mistral a flag of the last message (https://api-docs.deepseek.com/guides/chat_prefix_completion,
https://docs.mistral.ai/capabilities/completion/prefix/); read 2026-11-22.
"""

from omnix_sandbox import script
from omnix_sandbox.openai.request import ChatRequest


def parameter_of(request: ChatRequest) -> str | None:
    """The name of the first parameter that asks for it, whether it makes sense or not."""
    for name in ("continue_final_message", "add_generation_prompt"):
        if getattr(request, name) is not None:
            return name
    return next((f"messages[{at}].prefix" for at, one in enumerate(request.messages) if one.prefix is not None), None)


def complaint(request: ChatRequest) -> str | None:
    """What such a server has against the parameters."""
    if any(message.prefix for message in request.messages[:-1]):
        return "Only the last message may have the parameter 'prefix'."
    last = request.messages[-1]
    if last.prefix and last.role != "assistant":
        return f"Expected the last message with prefix to be of the role assistant but got {last.role}."
    if request.continue_final_message and request.add_generation_prompt is not False:
        return "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
    return None


def begun(request: ChatRequest, prompt: script.Prompt) -> script.Prompt:
    """The prompt, with the assistant's last message as its prefix where the request asks for that."""
    return script.continuing(prompt) if request.continue_final_message or request.messages[-1].prefix else prompt
