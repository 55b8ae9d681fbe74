"""Between OmniX's words and those of Converse and of the embedding models: pure functions, with tables of cases in the
tests.

What Converse cannot say is refused by name. The README lists what is refused, and the few wishes that are honoured
without a word on the wire.
"""

from omnix_adapter_bedrock.translate.answer import (
    Blocked,
    EventReader,
    InBandError,
    Unreadable,
    Unusable,
    completion_from_wire,
)
from omnix_adapter_bedrock.translate.embedding import embedding_body, embeddings_from_wire
from omnix_adapter_bedrock.translate.request import converse_body

__all__ = [
    "Blocked",
    "EventReader",
    "InBandError",
    "Unreadable",
    "Unusable",
    "completion_from_wire",
    "converse_body",
    "embedding_body",
    "embeddings_from_wire",
]
