"""What is answered: from the domain to the contracts."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from omnix.completion.v1 import completion_pb2 as pb
from omnix.embedding.v1 import embedding_pb2
from omnix.provider.v1 import provider_pb2
from omnix.usage.v1 import usage_pb2
from omnix_kit.convert import timestamp

from omnix_provider import types as t

_MODES: Mapping[t.ComputeMode, "pb.ComputeMode.ValueType"] = MappingProxyType(
    {
        t.ComputeMode.FLASH: pb.COMPUTE_MODE_FLASH,
        t.ComputeMode.THINK: pb.COMPUTE_MODE_THINK,
        t.ComputeMode.ULTRA_THINK: pb.COMPUTE_MODE_ULTRA_THINK,
    }
)
_PURPOSES: Mapping[t.AttemptPurpose, "usage_pb2.Purpose.ValueType"] = MappingProxyType(
    {t.AttemptPurpose.SHADOW: usage_pb2.PURPOSE_SHADOW, t.AttemptPurpose.HEDGE: usage_pb2.PURPOSE_HEDGE}
)
FINISH: Mapping[t.FinishReason, "pb.FinishReason.ValueType"] = MappingProxyType(
    {
        t.FinishReason.STOP: pb.FINISH_REASON_STOP,
        t.FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
        t.FinishReason.TOOL_CALLS: pb.FINISH_REASON_TOOL_CALLS,
        t.FinishReason.CONTENT_FILTER: pb.FINISH_REASON_CONTENT_FILTER,
        t.FinishReason.OTHER: pb.FINISH_REASON_OTHER,
    }
)


def chunk_to_proto(chunk: t.Chunk) -> pb.Chunk:
    """Made for every token, so the common case, a delta of text, comes first and sets one field."""
    message = pb.Chunk(text=chunk.text)
    if chunk.choice_index:
        message.choice_index = chunk.choice_index
    if chunk.finish_reason is not None:
        message.finish_reason = FINISH[chunk.finish_reason]
    if chunk.tool_calls:
        for call in chunk.tool_calls:
            message.tool_calls.add(
                index=call.index,
                id=call.id,
                name=call.name,
                arguments_json=call.arguments_json,
                signature=call.signature,
            )
    if chunk.reasoning is not None:
        message.reasoning.CopyFrom(_reasoned_to_proto(chunk.reasoning))
    if chunk.refusal:
        message.refusal = chunk.refusal
    if chunk.logprobs:
        message.logprobs.extend([_logprob_to_proto(each) for each in chunk.logprobs])
    if chunk.refusal_logprobs:
        message.refusal_logprobs.extend([_logprob_to_proto(each) for each in chunk.refusal_logprobs])
    return message


def _logprob_to_proto(token: t.TokenLogprob) -> pb.TokenLogprob:
    return pb.TokenLogprob(
        token=token.token,
        logprob=token.logprob,
        token_bytes=token.token_bytes,
        top=[_logprob_to_proto(each) for each in token.top],
    )


def _reasoned_to_proto(part: t.Reasoned) -> pb.ReasoningPart:
    return pb.ReasoningPart(text=part.text, signature=part.signature, redacted=part.redacted, provider=part.provider)


def compute_mode_to_proto(mode: t.ComputeMode) -> "pb.ComputeMode.ValueType":
    return _MODES[mode]


def purpose_to_proto(purpose: t.AttemptPurpose) -> "usage_pb2.Purpose.ValueType":
    return _PURPOSES[purpose]


def usage_to_proto(usage: t.Usage) -> pb.Usage:
    return pb.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cache_write_input_tokens=usage.cache_write_input_tokens,
        audio_input_tokens=usage.audio_input_tokens,
        audio_output_tokens=usage.audio_output_tokens,
        estimated=usage.estimated,
        long_cache_write_input_tokens=usage.long_cache_write_input_tokens,
    )


def completion_to_proto(completion: t.Completion, completion_id: str, usage: t.Usage) -> pb.Completion:
    """:param usage: what is metered, which is an estimate when the vendor did not count."""
    message = pb.Completion(
        completion_id=completion_id,
        create_time=timestamp(completion.create_time or datetime.now(UTC)),
        vendor_model=completion.vendor_model,
        vendor_id=completion.vendor_id,
        system_fingerprint=completion.system_fingerprint,
        service_tier=completion.service_tier,
        usage=usage_to_proto(usage),
    )
    for choice in completion.choices:
        added = message.choices.add(index=choice.index, finish_reason=FINISH[choice.finish_reason])
        _fill_answer(added.message, choice.message)
        added.logprobs.extend([_logprob_to_proto(each) for each in choice.logprobs])
        added.refusal_logprobs.extend([_logprob_to_proto(each) for each in choice.refusal_logprobs])
    return message


def embeddings_to_proto(embeddings: t.Embeddings, usage: t.Usage) -> embedding_pb2.Embeddings:
    """:param usage: what is metered, which is an estimate when the vendor did not count."""
    return embedding_pb2.Embeddings(
        vectors=embeddings.vectors, usage=usage_to_proto(usage), vendor_model=embeddings.vendor_model
    )


def _fill_answer(answer: pb.Message, message: t.Message) -> None:
    answer.role = pb.ROLE_ASSISTANT
    for part in message.parts:
        if not isinstance(part, t.Text):
            raise TypeError("an answer holds text; other parts are not in the contract yet")
        answer.parts.add(text=part.text)
    for call in message.tool_calls:
        answer.tool_calls.add(id=call.id, name=call.name, arguments_json=call.arguments_json, signature=call.signature)
    for reasoned in message.reasoning:
        answer.reasoning.append(_reasoned_to_proto(reasoned))
    if message.refusal:
        answer.refusal = message.refusal


def head_to_proto(head: t.Head | None, attempt: t.Attempt, sender_id: str) -> pb.Start:
    head = head or t.Head()
    return pb.Start(
        create_time=timestamp(head.create_time or datetime.now(UTC)),
        model=f"{attempt.provider}/{attempt.model}",
        vendor_model=head.vendor_model,
        system_fingerprint=head.system_fingerprint,
        service_tier=head.service_tier,
        tenant_id=attempt.caller.tenant_id,
        key_id=attempt.caller.key_id,
        sender_id=sender_id,
    )


def models_to_proto(provider: str, models: Sequence[t.ServedModel]) -> list[provider_pb2.ProviderModel]:
    return [
        provider_pb2.ProviderModel(provider=provider, model=model.model, owned_by=model.owned_by) for model in models
    ]
