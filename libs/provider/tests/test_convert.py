"""What of a request is refused before any adapter sees it."""

import pytest
from omnix.completion.v1 import completion_pb2 as pb
from omnix.embedding.v1 import embedding_pb2
from omnix_provider.convert.asked import embedding_request_from_proto, request_from_proto
from omnix_provider.errors import InvalidRequest


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        (pb.CompletionRequest(vendor_parameters={"": "1"}), "vendor_parameters"),
        (pb.CompletionRequest(messages=[pb.Message()]), "messages.0.role"),
        (pb.CompletionRequest(compute_mode=pb.COMPUTE_MODE_UNSPECIFIED), "compute_mode"),
    ],
)
def test_request_that_cannot_be_is_refused_by_name(request_: pb.CompletionRequest, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        request_from_proto(request_)
    assert refused.value.param == param


def test_nothing_to_embed_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        embedding_request_from_proto(embedding_pb2.EmbeddingRequest(inputs=[embedding_pb2.EmbeddingInput(text="")]))
    assert refused.value.param == "input.0"
