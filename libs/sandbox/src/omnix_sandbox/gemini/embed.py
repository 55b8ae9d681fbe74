"""Embeddings, as both surfaces tell them: `embedContent`, `batchEmbedContents` and Vertex AI's older `predict`.

https://ai.google.dev/api/embeddings,
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api; both as of 2026-11.
"""

from collections.abc import Sequence
from typing import Any, Final

from omnix_sandbox import vectors
from omnix_sandbox.formats import Asked, Making
from omnix_sandbox.gemini.chat import Target
from omnix_sandbox.gemini.errors import invalid_argument
from omnix_sandbox.gemini.events import pretty
from omnix_sandbox.gemini.prompt import text_of
from omnix_sandbox.gemini.request import Content
from omnix_sandbox.gemini.usage import details
from omnix_sandbox.gemini.wire import Message, read
from omnix_sandbox.record import Operation
from omnix_sandbox.steering import Steering, steering_of_model
from omnix_sandbox.tokens import count_tokens

MAX_BATCH: Final = 100
MAX_INSTANCES: Final = 250

_TASKS: Final = frozenset(
    {
        "",
        "TASK_TYPE_UNSPECIFIED",
        "RETRIEVAL_QUERY",
        "RETRIEVAL_DOCUMENT",
        "SEMANTIC_SIMILARITY",
        "CLASSIFICATION",
        "CLUSTERING",
        "QUESTION_ANSWERING",
        "FACT_VERIFICATION",
        "CODE_RETRIEVAL_QUERY",
    }
)


class EmbedContentConfig(Message):
    task_type: str = ""
    title: str = ""
    output_dimensionality: int | None = None
    auto_truncate: bool = True
    document_ocr: bool = False
    audio_track_extraction: bool = False


class EmbedContentRequest(Message):
    """The Gemini API has the settings beside the content, Vertex AI in `embedContentConfig`."""

    model: str = ""
    content: Content | None = None
    task_type: str = ""
    title: str = ""
    output_dimensionality: int | None = None
    embed_content_config: EmbedContentConfig | None = None

    @property
    def config(self) -> EmbedContentConfig:
        return self.embed_content_config or EmbedContentConfig(self.task_type, self.title, self.output_dimensionality)


class BatchEmbedContentsRequest(Message):
    requests: tuple[EmbedContentRequest, ...] = ()


class Instance(Message):
    content: str = ""
    task_type: str = ""
    title: str = ""
    mime_type: str = ""


class Parameters(Message):
    output_dimensionality: int | None = None
    auto_truncate: bool = True


class PredictRequest(Message):
    instances: tuple[Instance, ...] = ()
    parameters: Parameters | None = None


class AskedEmbeddings(Asked):
    """A call for the vectors of texts, each with its number of dimensions."""

    operation = Operation.EMBEDDINGS

    def __init__(self, target: Target, texts: Sequence[tuple[str, int]]) -> None:
        self.target = target
        self.model = target.model.name
        self._texts = texts

    @property
    def steering(self) -> Steering:
        return steering_of_model(self.model)

    def input_tokens(self) -> int:
        return sum(count_tokens(text) for text, _ in self._texts)

    def unary(self, making: Making) -> bytes:
        values = [vectors.vector(text, dimensions) for text, dimensions in self._texts]
        usage: dict[str, Any] = {}
        if making.billing is not None:
            tokens = making.billing.input_tokens
            usage = {"usageMetadata": {"promptTokenCount": tokens, "promptTokensDetails": details(tokens, {})}}
        match self.target.method:
            case "predict":
                told: dict[str, Any] = {
                    "predictions": [self._prediction(at, vector) for at, vector in enumerate(values)],
                    "metadata": {"billableCharacterCount": sum(len(text) for text, _ in self._texts)},
                }
            case "batchEmbedContents":
                told = {"embeddings": [{"values": vector} for vector in values], **usage}
            case _:
                truncated = {"truncated": False} if self.target.vertex else {}
                told = {"embedding": {"values": values[0]}, **usage, **truncated}
        return pretty(told)

    def _prediction(self, at: int, vector: list[float]) -> dict[str, Any]:
        statistics = {"truncated": False, "token_count": count_tokens(self._texts[at][0])}
        return {"embeddings": {"statistics": statistics, "values": vector}}


def asked(target: Target, body: bytes) -> AskedEmbeddings:
    """Read a request for embeddings.

    Raises:
        Refusal: Google would not take it.
    """
    match target.method:
        case "predict":
            return AskedEmbeddings(target, _instances(target, read(body, PredictRequest)))
        case "batchEmbedContents":
            requests = read(body, BatchEmbedContentsRequest).requests
            place = "BatchEmbedContentsRequest.requests"
            if not requests:
                raise invalid_argument(f"* {place}: requests is not specified\n")
            if len(requests) > MAX_BATCH:
                raise invalid_argument(f"* {place}: at most {MAX_BATCH} requests can be in one batch\n")
            texts = [_text(target, one, f"{place}[{at}]") for at, one in enumerate(requests)]
            return AskedEmbeddings(target, texts)
        case _:
            return AskedEmbeddings(target, [_text(target, read(body, EmbedContentRequest), "EmbedContentRequest")])


def _text(target: Target, request: EmbedContentRequest, place: str) -> tuple[str, int]:
    if request.model not in ("", f"models/{target.model.name}"):
        raise invalid_argument(f"* {place}.model: does not match the model of the request\n")
    if request.content is None or not text_of(request.content):
        raise invalid_argument(f"* {place}.content: contents is not specified\n")
    config = request.config
    if config.task_type not in _TASKS:
        raise invalid_argument(f"Invalid value at '{place}.task_type' (TYPE_ENUM), \"{config.task_type}\"")
    return text_of(request.content), _dimensions(target, config.output_dimensionality)


def _instances(target: Target, request: PredictRequest) -> list[tuple[str, int]]:
    if not request.instances or any(not instance.content for instance in request.instances):
        raise invalid_argument("The text content is empty.")
    if len(request.instances) > MAX_INSTANCES:
        raise invalid_argument(f"{len(request.instances)} instance(s) is more than the limit of {MAX_INSTANCES}.")
    wanted = request.parameters.output_dimensionality if request.parameters is not None else None
    return [(instance.content, _dimensions(target, wanted)) for instance in request.instances]


def _dimensions(target: Target, wanted: int | None) -> int:
    most = target.model.dimensions
    if wanted is not None and not 1 <= wanted <= most:
        raise invalid_argument(f"output_dimensionality must be between 1 and {most}, not {wanted}.")
    return wanted or most
