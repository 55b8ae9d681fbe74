"""An adapter's side of a stream: what it publishes, on purpose wrong too, and the router's word when it breaks off."""

from collections.abc import Awaitable, Callable

from omnix.completion.v1 import completion_pb2 as pb
from omnix.router.v1 import router_service_pb2
from omnix_kit.convert import error_to_proto
from omnix_kit.digest import digest
from omnix_kit.errors import OmnixError, Reason, error_for
from omnix_kit.messaging import Messaging

SENDER = "sender1"
ROUTER = "router1"
CUT = error_for(Reason.PROVIDER_CUT, "The provider broke off.", provider="openai")


class Publisher:
    """Publishes the chunks of one attempt as an adapter does, or on purpose otherwise."""

    def __init__(
        self,
        messaging: Messaging,
        request: router_service_pb2.StartCompletionRequest,
        attempt: int = 1,
        *,
        continues: int = 0,
        model: str = "openai/gpt-4o",
        vendor_model: str = "gpt-4o-2024-08-06",
    ) -> None:
        self.completion_id = request.completion_id
        self.request = request
        self.subject = request.chunk_subject
        self.attempt = attempt
        self.published: list[bytes] = []
        self.router_id = ""
        self.sender_id = SENDER
        self._continues = continues
        self._model = model
        self._vendor_model = vendor_model
        self._messaging = messaging
        self._seq = 0
        self._digest = 0

    @property
    def count(self) -> int:
        """How many chunks it has."""
        return self._seq

    def message(self, *chunks: pb.Chunk, end: pb.End | None = None) -> bytes:
        """The next message, not published."""
        message = pb.CompletionChunks(
            completion_id=self.completion_id, attempt=self.attempt, first_seq=self._seq, chunks=chunks, end=end
        )
        if self._seq == 0:
            caller = self.request.caller
            message.start.CopyFrom(
                pb.Start(
                    model=self._model,
                    vendor_model=self._vendor_model,
                    system_fingerprint="fp_1",
                    tenant_id=caller.tenant_id,
                    key_id=caller.key_id,
                    sender_id=self.sender_id,
                    router_id=self.router_id,
                    continued_attempt=self._continues,
                )
            )
            message.start.create_time.seconds = 1_700_000_000 + self.attempt - 1
        for chunk in chunks:
            self._digest = digest(self._digest, chunk)
        self._seq += len(chunks)
        return message.SerializeToString()

    async def publish(self, data: bytes) -> None:
        self.published.append(data)
        await self._messaging.publish(self.subject, data)
        await self._messaging.client.flush()

    async def chunks(self, *chunks: pb.Chunk) -> None:
        await self.publish(self.message(*chunks))

    async def text(self, *texts: str) -> None:
        await self.chunks(*(pb.Chunk(text=text) for text in texts))

    def end_of(self, error: OmnixError | None = None, *, wrong: int = 0, may_go_on: bool = False) -> pb.End:
        end = pb.End(count=self._seq, digest=self._digest ^ wrong, cost_micros=1234, may_go_on=may_go_on)
        end.usage.input_tokens = 7
        end.usage.output_tokens = self._seq
        if error is not None:
            end.error.CopyFrom(error_to_proto(error))
        return end

    async def finish(self, error: OmnixError | None = None) -> None:
        if error is None:
            last = pb.Chunk(finish_reason=pb.FINISH_REASON_STOP)
            self._digest = digest(self._digest, last)
            first, self._seq = self._seq, self._seq + 1
            message = pb.CompletionChunks(
                completion_id=self.completion_id,
                attempt=self.attempt,
                first_seq=first,
                chunks=[last],
                end=self.end_of(),
            )
            await self.publish(message.SerializeToString())
        else:
            await self.publish(self.message(end=self.end_of(error)))

    # What happens when it breaks off.

    async def break_off(self, error: OmnixError = CUT) -> None:
        """End with an error after which the router may go on."""
        await self.publish(self.message(end=self.end_of(error, may_go_on=True)))

    def word(self, next_attempt: int, count: int | None = None, error: OmnixError | None = None) -> bytes:
        """The router's word about this attempt, not published."""
        count = self._seq if count is None else count
        succession = pb.Succession(next_attempt=next_attempt, count=count)
        if error is not None:
            succession.error.CopyFrom(error_to_proto(error))
        message = pb.CompletionChunks(
            completion_id=self.completion_id, attempt=self.attempt, first_seq=count, succession=succession
        )
        return message.SerializeToString()

    async def say(self, word: bytes) -> None:
        """Publish the router's word, with acknowledgement of the recording."""
        await self._messaging.jetstream.publish(self.subject, word)

    async def name(self, successor: "Publisher", count: int | None = None) -> None:
        await self.say(self.word(successor.attempt, count))

    async def give_up(self, error: OmnixError = CUT) -> None:
        await self.say(self.word(0, error=error))

    def successor(self, attempt: int | None = None, model: str = "bedrock/claude-x") -> "Publisher":
        """An attempt that continues this one; the router has not named it."""
        other = Publisher(
            self._messaging,
            self.request,
            attempt or self.attempt + 1,
            continues=self.attempt,
            model=model,
            vendor_model=model.partition("/")[2],
        )
        other.router_id = self.router_id
        return other


Play = Callable[[Publisher], Awaitable[None]]


async def whole_answer(publisher: Publisher) -> None:
    for text in ("Hel", "lo", " wörld 🌍", "."):
        await publisher.text(text)
    await publisher.finish()
