"""A call with a key is made once, whole answers and vectors: what fails, what differs, what is asked at once."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from nats.js.errors import ServiceUnavailableError
from omnix_gateway.idempotency.records import State
from omnix_gateway.metrics import KEYED
from omnix_kit import streams, subjects
from omnix_kit.errors import OmnixError, Reason, error_for
from omnix_kit.testing import NatsServer, eventually
from openai import APIStatusError, AsyncOpenAI, ConflictError, UnprocessableEntityError

from .conftest import Gateway, Start
from .fake_quotas import fake_quotas
from .fakes import MEMBER, OTHER, Backends, answer
from .keyed import KEY, PATH, ask, body, calls, counted, remembered, state_becomes


@pytest.mark.parametrize("key", ["", "with space", "ümlaut", "x" * 256, "tab\there"])
async def test_what_is_no_key_is_refused_by_name(gateway: Gateway, behind: Backends, key: str) -> None:
    answered = await gateway.http.post(PATH, json=body(), headers=[(b"idempotency-key", key.encode())])
    assert answered.status_code == 400
    assert answered.json()["error"]["param"] == "Idempotency-Key"
    assert calls(behind) == 0


async def test_longest_key_is_one(gateway: Gateway) -> None:
    assert (await ask(gateway, headers={"idempotency-key": "~" * 255})).status_code == 200


async def test_without_broker_no_call_is_made(gateway: Gateway, behind: Backends, nats: NatsServer) -> None:
    nats.kill()
    await eventually(lambda: bool(gateway.process.readiness.lacking()))
    answered = await ask(gateway)
    assert answered.status_code == 503
    assert answered.json()["error"]["code"] == "unavailable"
    assert "retry-after" in answered.headers
    assert calls(behind) == 0
    nats.start()
    await eventually(lambda: not gateway.process.readiness.lacking())
    assert (await ask(gateway)).status_code == 200
    assert calls(behind) == 1


async def test_broker_that_stands_still_is_no_leave_to_call(
    gateway: Gateway, behind: Backends, nats: NatsServer
) -> None:
    with nats.paused():
        answered = await ask(gateway)
    assert answered.status_code == 503
    assert calls(behind) == 0
    # Perhaps the claim was written; it was this gateway's, which knows that it never called.
    assert (await ask(gateway)).status_code == 200
    assert calls(behind) == 1


async def test_answer_is_remembered_though_the_broker_died_meanwhile(
    gateway: Gateway, behind: Backends, nats: NatsServer
) -> None:
    behind.router.hold = asyncio.Event()
    asking = asyncio.create_task(ask(gateway))
    await eventually(lambda: calls(behind) == 1)
    nats.kill()
    await eventually(lambda: bool(gateway.process.readiness.lacking()))
    behind.router.hold.set()
    first = await asking
    assert first.status_code == 200
    assert (await ask(gateway)).status_code == 503
    nats.start()
    await eventually(lambda: not gateway.process.readiness.lacking())
    again = await ask(gateway)
    assert (again.status_code, again.content) == (200, first.content)
    assert calls(behind) == 1


async def test_stream_that_was_removed_is_made_again(gateway: Gateway, behind: Backends) -> None:
    assert streams.IDEMPOTENCY.name is not None
    await behind.messaging.jetstream.delete_stream(streams.IDEMPOTENCY.name)
    refused = await ask(gateway)
    assert refused.status_code == 503
    assert calls(behind) == 0
    assert (await ask(gateway)).status_code == 200
    assert (await ask(gateway)).headers["idempotent-replayed"] == "true"
    assert calls(behind) == 1


async def test_full_stream_refuses_new_keys_and_takes_the_end_of_those_it_has(
    gateway: Gateway, behind: Backends
) -> None:
    jetstream, room = behind.messaging.jetstream, 20_000
    await jetstream.update_stream(replace(streams.IDEMPOTENCY, max_bytes=room))
    behind.router.hold = asyncio.Event()
    first = asyncio.create_task(ask(gateway))
    await eventually(lambda: calls(behind) == 1)

    async def fill() -> None:
        for number in range(room):
            await jetstream.publish(subjects.call_claimed("other", f"{number}"), b"x" * 100)

    with pytest.raises(ServiceUnavailableError):
        await fill()
    refused = await ask(gateway, headers={"idempotency-key": "another"})
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "overloaded"
    assert refused.headers["retry-after"] == "60"
    assert calls(behind) == 1
    behind.router.hold.set()
    assert (await first).status_code == 200
    again = await ask(gateway)
    assert again.json()["error"]["code"] == "idempotency_answer_not_kept"
    assert calls(behind) == 1


async def test_other_body_is_refused(gateway: Gateway, behind: Backends) -> None:
    assert (await ask(gateway)).status_code == 200
    for other in (body("Hello!"), body(temperature=0.5), body(stream=True), body(user="u")):
        answered = await gateway.http.post(PATH, json=other, headers=KEY)
        assert answered.status_code == 422
        error = answered.json()["error"]
        assert (error["code"], error["type"]) == ("idempotency_key_reused", "invalid_request_error")
        assert error["param"] == "Idempotency-Key"
        assert answered.headers["x-should-retry"] == "false"
    answered = await gateway.http.post("/v1/embeddings", json={"model": "e", "input": "x"}, headers=KEY)
    assert answered.status_code == 422
    assert calls(behind) == 1


async def test_same_body_may_be_written_otherwise(gateway: Gateway, behind: Backends) -> None:
    first = await ask(gateway, metadata={"a": "1", "b": "2"})
    again = await gateway.http.post(
        PATH,
        content=b'{"metadata": {"b":"2", "a":"1"},"messages":[{"content":"Hello","role":"user"}],"model":"gpt-4o"}',
        headers={**KEY, "content-type": "application/json"},
    )
    assert again.content == first.content
    assert calls(behind) == 1


async def test_answer_is_given_again_by_any_gateway(start: Start, behind: Backends) -> None:
    one, other = await start(), await start()
    behind.router.route, behind.router.policy, behind.router.sandbox = "fast", "ordered", True
    first = await ask(one)
    again = [await ask(one), await ask(other)]
    timed = {"x-request-id", "openai-processing-ms", "date"}
    told = {name: value for name, value in first.headers.items() if name not in timed}
    assert "idempotent-replayed" not in told
    for each in again:
        assert each.status_code == 200
        assert each.content == first.content
        assert {k: v for k, v in each.headers.items() if k not in timed} == {**told, "idempotent-replayed": "true"}
    assert calls(behind) == 1


async def test_vectors_are_given_again(start: Start, behind: Backends) -> None:
    one, other = await start(), await start()
    asked = {"model": "e", "input": ["a", "b"], "encoding_format": "base64"}
    first = await one.http.post("/v1/embeddings", json=asked, headers=KEY)
    again = await other.http.post("/v1/embeddings", json=asked, headers=KEY)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["x-omnix-completion-id"] == first.headers["x-omnix-completion-id"]
    assert again.headers["idempotent-replayed"] == "true"
    differs = await other.http.post("/v1/embeddings", json={**asked, "encoding_format": "float"}, headers=KEY)
    assert differs.status_code == 422
    assert calls(behind) == 1


async def test_key_of_another_caller_opens_nothing(start: Start, behind: Backends) -> None:
    mine, theirs = await start(MEMBER), await start(OTHER)
    first = await ask(mine)
    foreign = await ask(theirs, "Something else")
    assert foreign.status_code == 200
    assert foreign.json()["id"] != first.json()["id"]
    assert calls(behind) == 2


async def test_many_at_once_at_two_gateways_are_one_call(start: Start, behind: Backends) -> None:
    gateways = [await start(), await start()]
    behind.router.hold = asyncio.Event()
    asking = [asyncio.create_task(ask(gateways[number % 2])) for number in range(50)]
    await eventually(lambda: calls(behind) == 1)
    behind.router.hold.set()
    answers = await asyncio.gather(*asking)
    assert {each.status_code for each in answers} == {200}
    assert len({each.content for each in answers}) == 1
    assert sum("idempotent-replayed" in each.headers for each in answers) == 49
    assert calls(behind) == 1


async def test_who_waits_too_long_is_told_so(start: Start, behind: Backends) -> None:
    gateway, other = await start(), await start(idempotency_wait=0)
    behind.router.hold = asyncio.Event()
    first = asyncio.create_task(ask(gateway))
    await eventually(lambda: calls(behind) == 1)
    answered = await ask(other)
    assert answered.status_code == 409
    assert answered.headers["retry-after"] == "2"
    assert "x-should-retry" not in answered.headers
    error = answered.json()["error"]
    assert error["code"] == "idempotency_in_progress"
    state = error["idempotency"]
    assert (state["state"], state["attempts"]) == ("in_progress", None)
    assert state["completion_id"] == f"chatcmpl-{behind.router.asked[0].completion_id}"
    assert answered.headers["x-omnix-completion-id"] == state["completion_id"]
    hurried = await gateway.http.post(PATH, json=body(), headers={**KEY, "x-omnix-timeout": "0.05"})
    assert hurried.status_code == 409
    behind.router.hold.set()
    assert (await first).status_code == 200
    assert (await ask(other)).content == (await first).content
    assert calls(behind) == 1


async def test_answer_waits_for_the_client_that_left(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await gateway.http.post(PATH, json=body(), headers=KEY)
    assert calls(behind) == 1
    again = asyncio.create_task(ask(gateway))
    behind.router.hold.set()
    assert (await again).headers["idempotent-replayed"] == "true"
    assert behind.router.cancelled == []
    assert calls(behind) == 1


@pytest.mark.parametrize(
    "error",
    [
        error_for(Reason.MODEL_NOT_FOUND, "There is none.", param="model"),
        error_for(Reason.RATE_LIMITED, "Too many.", provider="openai", provider_status=429),
        error_for(Reason.PROVIDER_UNAVAILABLE, "It failed.", provider="openai", provider_status=500),
        error_for(Reason.PROVIDER_OVERLOADED, "It has too much to do.", provider="openai"),
        error_for(Reason.OVERLOADED, "Too much to do."),
        error_for(Reason.UNAVAILABLE, "The model is not known yet.", param="model"),
    ],
    ids=lambda error: f"{error.reason}",
)
async def test_what_cost_nothing_frees_its_key(gateway: Gateway, behind: Backends, error: OmnixError) -> None:
    behind.router.error = error
    assert (await ask(gateway)).status_code == error.meaning.http
    behind.router.error = None
    answered = await ask(gateway, "Another question")
    assert answered.status_code == 200
    assert "idempotent-replayed" not in answered.headers
    assert calls(behind) == 2


async def test_what_a_vendor_may_bill_fails_again_without_a_call(start: Start, behind: Backends) -> None:
    one, other = await start(), await start()
    behind.router.error = error_for(Reason.PROVIDER_TIMEOUT, "It was silent.", provider="openai")
    first = await ask(one)
    assert first.status_code == 504
    behind.router.error = None
    again = await ask(other)
    assert (again.status_code, again.content) == (504, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-should-retry"] == "false"
    assert again.headers["x-omnix-completion-id"] == first.headers["x-omnix-completion-id"]
    assert calls(behind) == 1


@pytest.mark.parametrize(
    "error",
    [
        error_for(Reason.INTERNAL, "A defect."),
        error_for(Reason.UNAVAILABLE, "The adapter is away."),
        error_for(Reason.DEADLINE_EXCEEDED, "The answer did not come in time."),
    ],
    ids=lambda error: f"{error.reason}",
)
async def test_call_whose_end_nobody_knows_is_in_doubt(gateway: Gateway, behind: Backends, error: OmnixError) -> None:
    behind.router.error = error
    assert (await ask(gateway)).status_code == error.meaning.http
    behind.router.error = None
    answered = await ask(gateway)
    assert answered.status_code == 409
    assert answered.headers["x-should-retry"] == "false"
    told = answered.json()["error"]
    assert told["code"] == "idempotency_in_doubt"
    assert told["idempotency"]["state"] == "in_doubt"
    assert told["idempotency"]["attempts"] == []
    assert behind.usage.asked[-1].filter.completion_id == behind.router.asked[0].completion_id
    assert behind.usage.asked[-1].filter.key_id == "member"
    assert calls(behind) == 1


async def test_refused_requests_claim_nothing(gateway: Gateway, behind: Backends) -> None:
    refused = await gateway.http.post(PATH, json={"model": "gpt-4o", "messages": "x"}, headers=KEY)
    assert refused.status_code == 400
    assert await remembered(behind) == []
    assert (await ask(gateway)).status_code == 200


async def test_answer_too_large_to_be_kept_is_not_paid_twice(start: Start, behind: Backends) -> None:
    gateway = await start(idempotency_entry_limit=1024)
    behind.router.completion = answer("x" * 5000)
    assert (await ask(gateway)).status_code == 200
    again = await ask(gateway)
    assert again.status_code == 409
    error = again.json()["error"]
    assert error["code"] == "idempotency_answer_not_kept"
    assert again.headers["x-should-retry"] == "false"
    assert calls(behind) == 1


async def test_key_is_forgotten_when_its_time_is_over(start: Start, behind: Backends) -> None:
    gateway = await start(idempotency_ttl=1)
    first = await ask(gateway)
    await state_becomes(behind)
    later = await ask(gateway, "Another question")
    assert later.status_code == 200
    assert later.json()["id"] != first.json()["id"]
    assert calls(behind) == 2


async def test_answer_that_is_given_again_counts_for_no_limit(start: Start, behind: Backends) -> None:
    async with fake_quotas() as quotas:
        quotas.limit(amount=1)
        quotas.limits["l"].amount = 1
        gateway = await start(usage_metering_address=quotas.address, limits_wait=5)
        first = await ask(gateway)
        assert first.headers["x-ratelimit-remaining-requests"] == "0"
        assert (await ask(gateway)).content == first.content
        refused = await ask(gateway, headers={"idempotency-key": "another"})
        assert refused.status_code == 429
    assert calls(behind) == 1

    async def is_free() -> bool:
        return sorted(record.state for record in await remembered(behind)) == [State.RELEASED, State.DONE]

    await eventually(is_free)


async def test_cache_has_nothing_to_do_with_keys(gateway: Gateway, behind: Backends) -> None:
    wish = {"x-omnix-cache": "on"}
    first = await ask(gateway, headers={**KEY, **wish})
    assert first.headers["x-omnix-cache"] == "bypass"
    other = await ask(gateway, headers={"idempotency-key": "other", **wish})
    assert other.headers["x-omnix-cache"] == "bypass"
    assert other.json()["id"] != first.json()["id"]
    assert calls(behind) == 2


async def test_retries_of_the_official_client_get_the_one_answer(gateway: Gateway, behind: Backends) -> None:
    behind.router.hold = asyncio.Event()
    release = asyncio.get_running_loop().call_later(0.6, behind.router.hold.set)
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=MEMBER, max_retries=5, timeout=0.4) as client:
        messages: Any = [{"role": "user", "content": "Hello"}]
        told = await client.chat.completions.create(model="gpt-4o", messages=messages, extra_headers=KEY)
    release.cancel()
    assert told.choices[0].message.content == "Hello!"
    assert calls(behind) == 1


async def test_official_client_gives_up_at_once_on_what_is_final(gateway: Gateway, behind: Backends) -> None:
    before = counted(KEYED, "in-doubt"), counted(KEYED, "reused")
    behind.router.error = error_for(Reason.INTERNAL, "A defect.")
    async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=MEMBER, max_retries=3, timeout=20) as client:

        async def create(content: str) -> APIStatusError:
            messages: Any = [{"role": "user", "content": content}]
            with pytest.raises(APIStatusError) as caught:
                await client.chat.completions.create(model="gpt-4o", messages=messages, extra_headers=KEY)
            return caught.value

        assert isinstance(await create("Hello"), ConflictError)
        assert isinstance(await create("Other"), UnprocessableEntityError)
    assert (counted(KEYED, "in-doubt"), counted(KEYED, "reused")) == (before[0] + 1, before[1] + 1)
    assert calls(behind) == 1


async def test_call_that_was_cut_off_by_the_end_of_its_gateway_is_in_doubt(start: Start, behind: Backends) -> None:
    other = await start()
    mortal: Gateway = await start(grace=0)
    behind.router.hold = asyncio.Event()
    asking = asyncio.create_task(ask(mortal))
    await eventually(lambda: calls(behind) == 1)
    await mortal.stop()
    await asyncio.gather(asking, return_exceptions=True)
    behind.router.hold.set()
    answered = await ask(other)
    assert answered.status_code == 409
    assert answered.json()["error"]["code"] == "idempotency_in_doubt"
    assert calls(behind) == 1
    assert [record.state for record in await remembered(behind)] in ([State.DOUBT], [State.CLAIMED])
