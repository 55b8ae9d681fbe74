"""What plugins are told and what they answer: between the contracts and the domain."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from types import MappingProxyType

from omnix.common.v1 import caller_pb2
from omnix.completion.v1 import completion_pb2 as pb
from omnix.plugin.v1 import plugin_pb2
from omnix.plugin.v1 import plugin_service_pb2 as wire

from omnix_provider import types as t
from omnix_provider.convert.answered import FINISH
from omnix_provider.errors import InvalidRequest
from omnix_provider.plugins.chain import Refusal, Said
from omnix_provider.plugins.plugin import Plugin

_MOST_PLUGINS = 16
_LONGEST_TIMEOUT = timedelta(seconds=60)
_MOST_CALLS = 1024
"""Tool calls of one alternative."""
_FINISH_REASONS = MappingProxyType({number: reason for reason, number in FINISH.items()})
_CLOSES = MappingProxyType({plugin_pb2.ON_FAILURE_OPEN: False, plugin_pb2.ON_FAILURE_CLOSED: True})


class Unreadable(ValueError):
    """A plugin's answer is none."""


def plugins_from_proto(messages: Iterable[plugin_pb2.Plugin]) -> tuple[Plugin, ...]:
    """Those that look at answers, in their order.

    :raises InvalidRequest: when one cannot be called as it says.
    """
    plugins = tuple([_plugin(each) for each in messages if plugin_pb2.HOOK_ANSWER in each.hooks])
    if len(plugins) > _MOST_PLUGINS:
        raise InvalidRequest(f"More than {_MOST_PLUGINS} plugins look at the answer.", param="plugins")
    return plugins


def _plugin(message: plugin_pb2.Plugin) -> Plugin:
    timeout = timedelta(seconds=message.timeout.seconds, microseconds=message.timeout.nanos // 1000)
    if not message.name or not message.address:
        raise InvalidRequest("A plugin has no name or no address.", param="plugins")
    if not timedelta(0) < timeout <= _LONGEST_TIMEOUT:
        raise InvalidRequest(f"The plugin {message.name} has no timeout of at most 60 s.", param="plugins")
    closes = _CLOSES.get(message.on_failure)
    if closes is None:
        raise InvalidRequest(f"What the failure of the plugin {message.name} means is not said.", param="plugins")
    return Plugin(message.name, message.address, timeout, closes, dict(message.settings))


def context_to_proto(plugin: Plugin, attempt: t.Attempt, *, streamed: bool) -> plugin_pb2.Context:
    caller = attempt.caller
    return plugin_pb2.Context(
        completion_id=attempt.completion_id,
        caller=caller_pb2.Caller(
            tenant_id=caller.tenant_id, team_id=caller.team_id, user_id=caller.user_id, key_id=caller.key_id
        ),
        route=attempt.route,
        settings=plugin.settings,
        streamed=streamed,
    )


def said_from_proto(message: wire.TransformChunksResponse, alternatives: int) -> Said:
    """:raises Unreadable: naming what is wrong."""
    return Said(
        _chunks(message.chunks, alternatives),
        _chunks(message.held, alternatives),
        Refusal(message.refusal.message, message.refusal.param) if message.HasField("refusal") else None,
        waits=not message.chunks and not message.held,
    )


def choices_from_plugin(completion: pb.Completion, answered: pb.Completion) -> None:
    """Take a plugin's alternatives into the answer.

    :raises Unreadable: when they are none; the answer is then as it was.
    """
    if sorted(choice.index for choice in answered.choices) != sorted(choice.index for choice in completion.choices):
        raise Unreadable("other alternatives came back")
    for choice in answered.choices:
        if choice.finish_reason not in _FINISH_REASONS:
            raise Unreadable("an alternative has no finish reason that is known here")
        if choice.message.role != pb.ROLE_ASSISTANT:
            raise Unreadable("an alternative is not the assistant's")
        if any(part.WhichOneof("kind") != "text" for part in choice.message.parts):
            raise Unreadable("an alternative holds something else than text")
    del completion.choices[:]
    completion.choices.extend(answered.choices)


def _chunks(messages: Iterable[pb.Chunk], alternatives: int) -> Sequence[t.Chunk]:
    chunks = [_chunk(each, alternatives) for each in messages]
    return [chunk for chunk in chunks if chunk is not None]


def _chunk(message: pb.Chunk, alternatives: int) -> t.Chunk | None:
    if not 0 <= message.choice_index < alternatives:
        raise Unreadable(f"there is no alternative {message.choice_index}")
    if message.finish_reason and message.finish_reason not in _FINISH_REASONS:
        raise Unreadable("a finish reason is not known here")
    chunk = t.Chunk(
        message.text,
        message.choice_index,
        tuple([_call(each) for each in message.tool_calls]),
        _reasoned(message.reasoning) if message.HasField("reasoning") else None,
        message.refusal,
        _FINISH_REASONS.get(message.finish_reason),
        tuple([_logprob(each) for each in message.logprobs]),
        tuple([_logprob(each) for each in message.refusal_logprobs]),
    )
    says = chunk.text or chunk.tool_calls or chunk.reasoning is not None or chunk.refusal
    return chunk if says or chunk.finish_reason is not None else None


def _call(message: pb.ToolCallDelta) -> t.ToolCallDelta:
    if not 0 <= message.index < _MOST_CALLS:
        raise Unreadable(f"there is no tool call {message.index}")
    return t.ToolCallDelta(message.index, message.id, message.name, message.arguments_json, message.signature)


def _reasoned(message: pb.ReasoningPart) -> t.Reasoned:
    return t.Reasoned(message.text, message.signature, message.redacted, message.provider)


def _logprob(message: pb.TokenLogprob) -> t.TokenLogprob:
    return t.TokenLogprob(
        message.token,
        message.logprob,
        message.token_bytes if message.HasField("token_bytes") else None,
        tuple([_logprob(each) for each in message.top]),
    )
