"""A stream, read to its end and put together."""

from omnix_gateway.streaming.convert import Chunk, End, Start
from omnix_gateway.streaming.reader import Reader


class Unfit(Exception):
    """The stream is nothing that could be put together here."""


class TooLarge(Unfit):
    """It is longer than may be held."""


class Mended(Unfit):
    """Several attempts made it, perhaps of several models; who answered could not be told in one word."""


async def collected(reader: Reader, most_bytes: int) -> tuple[Start, list[Chunk], End]:
    """Everything of a stream that ends whole.

    :raises OmnixError: why it did not.
    :raises Unfit: as soon as it is.
    """
    chunks: list[Chunk] = []
    size = 0
    while True:
        delivery = await reader.take()
        if delivery is None:
            continue
        for opening, _, more in delivery.pieces:
            if opening.start.continued_attempt:
                raise Mended
            chunks.extend(more)
            size += sum(chunk.ByteSize() for chunk in more)
        if size > most_bytes:
            raise TooLarge
        if delivery.error is not None:
            raise delivery.error
        if delivery.end is not None and reader.start is not None:
            return reader.start, chunks, delivery.end
