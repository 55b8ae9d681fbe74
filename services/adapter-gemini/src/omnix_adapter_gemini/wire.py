"""Gemini's answers as they arrive, and no more of them than is read.

Protobuf's JSON leaves out what is zero or empty, so nearly everything is optional. One shape serves whole answers and
events: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse.
"""

from msgspec import Raw, Struct, field


class TokenCount(Struct, rename="camel"):
    modality: str | None = None
    token_count: int | None = None


class Usage(Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[TokenCount] | None = None
    candidates_tokens_details: list[TokenCount] | None = None
    tool_use_prompt_tokens_details: list[TokenCount] | None = None
    service_tier: str | None = None
    """The Gemini API's word."""
    traffic_type: str | None = None
    """Google Cloud's word; it comes alone in events that have no counts."""


_ABSENT = Raw()


class FunctionCall(Struct, rename="camel"):
    name: str | None = None
    id: str | None = None
    args: Raw = _ABSENT
    partial_args: Raw = _ABSENT


class Present(Struct):
    """Of what is inside nothing is read."""


class Part(Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: Present | None = None
    file_data: Present | None = None
    executable_code: Present | None = None
    code_execution_result: Present | None = None
    tool_call: Present | None = None


class Content(Struct):
    parts: list[Part] | None = None


class LikelyToken(Struct, rename="camel"):
    token: str | None = None
    log_probability: float | None = None


class LikelyTokens(Struct):
    candidates: list[LikelyToken] | None = None


class Logprobs(Struct, rename="camel"):
    chosen_candidates: list[LikelyToken] | None = None
    top_candidates: list[LikelyTokens] | None = None


class Candidate(Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None
    logprobs_result: Logprobs | None = None


class PromptFeedback(Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class Detail(Struct, rename="camel"):
    """What ``google.rpc`` adds to an error: https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto."""

    type: str | None = field(default=None, name="@type")
    reason: str | None = None
    retry_delay: str | None = None
    violations: list["Violation"] | None = None
    field_violations: list["FieldViolation"] | None = None


class Violation(Struct, rename="camel"):
    quota_id: str | None = None
    quota_value: str | None = None


class FieldViolation(Struct):
    field: str | None = None


class Error(Struct):
    code: int | None = None
    message: str | None = None
    status: str | None = None
    details: list[Raw] | None = None
    """Each read by itself, because their shapes differ by type."""


class Failure(Struct):
    error: Error


class Answer(Struct, rename="camel"):
    candidates: list[Candidate] | None = None
    usage_metadata: Usage | None = None
    model_version: str | None = None
    prompt_feedback: PromptFeedback | None = None
    error: Error | None = None
    response_id: str | None = None
    create_time: str | None = None


class Values(Struct):
    values: list[float]


class EmbeddingUsage(Struct, rename="camel"):
    prompt_token_count: int | None = None


class Embedded(Struct, rename="camel"):
    """Of ``batchEmbedContents``, and of ``embedContent`` where there is one input."""

    embeddings: list[Values] | None = None
    embedding: Values | None = None
    usage_metadata: EmbeddingUsage | None = None


class Statistics(Struct):
    token_count: float | None = None


class Predicted(Struct):
    values: list[float]
    statistics: Statistics | None = None


class Prediction(Struct):
    embeddings: Predicted


class Predictions(Struct):
    """Of Google Cloud's ``predict``."""

    predictions: list[Prediction]
