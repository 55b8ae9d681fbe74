"""Bad input gets its documented error and leaves the process well."""

import json
from typing import Any

import pytest
from support.suite import Suite

pytestmark = [pytest.mark.suite, pytest.mark.asyncio(loop_scope="session")]

GOOD: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x"}]}
DEEP = '{"model":"gpt-4o","messages":[{"role":"user","content":"x"}],"metadata":' + "[" * 100_000 + "]" * 100_000 + "}"


def changed(**more: Any) -> str:
    return json.dumps(GOOD | more)


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ("{", 400, "invalid_request", None),
        ("", 400, "invalid_request", None),
        ("[]", 400, "invalid_request", None),
        ('"x"', 400, "invalid_request", None),
        (b"\xff\xfe", 400, "invalid_request", None),
        (changed(messages="x"), 400, "invalid_request", "messages"),
        (changed(messages=[]), 400, "invalid_request", "messages"),
        (changed(messages=[{"role": "ghost", "content": "x"}]), 400, "invalid_request", "messages.0.role"),
        (changed(messages=[{"role": "user", "content": 5}]), 400, "invalid_request", "messages.0.content"),
        (changed(temperature="hot"), 400, "invalid_request", "temperature"),
        (changed(temperature=99), 400, "invalid_request", "temperature"),
        (changed(temprature=1), 400, None, "temprature"),
        (changed(n=0), 400, "invalid_request", "n"),
        (changed(model=""), 400, "invalid_request", "model"),
        (changed(model=7), 400, "invalid_request", "model"),
        (changed(model="nope"), 404, "model_not_found", "model"),
        (changed(stream="yes"), 400, "invalid_request", "stream"),
        (changed(messages=[{"role": "user", "content": "x" * 2 * 1024 * 1024}]), 413, "payload_too_large", None),
        (DEEP, 400, "invalid_request", None),
        ("[" * 200_000, 400, "invalid_request", None),
    ],
)
async def test_bad_body_is_refused_by_name(
    suite: Suite, body: str | bytes, status: int, code: str | None, param: str | None
) -> None:
    headers = suite.headers | {"Content-Type": "application/json"}
    answer = await suite.http.post(f"{suite.url}/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["message"]
    assert error["type"] == "invalid_request_error"
    if code is not None:
        assert error["code"] == code
    assert error["param"] == param
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer sk-omnix-unknown"},
        {"Authorization": "Basic eDp5"},
        {"x-api-key": "x" * 5000},
        {"Authorization": "Bearer \xfc".encode("latin-1").decode("latin-1")},
    ],
)
async def test_bad_key_is_refused(suite: Suite, headers: dict[str, str]) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = await suite.http.post(f"{suite.url}/v1/chat/completions", json=GOOD, headers=encoded)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/models/no/such/model", 404),
        ("GET", "/v1/streams/not-an-id", 404),
        ("GET", "/v1/usage?limit=-1", 400),
        ("GET", "/v1/usage?page_token=forged", 400),
        ("DELETE", "/v1/keys/no-such-key", 404),
    ],
)
async def test_wrong_address_has_the_same_envelope(suite: Suite, method: str, path: str, status: int) -> None:
    answer = await suite.http.request(method, f"{suite.url}{path}", headers=suite.headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


async def test_large_header_is_refused_and_the_gateway_is_well(suite: Suite) -> None:
    answer = await suite.http.get(f"{suite.url}/v1/models", headers=suite.headers | {"x-large": "x" * 100_000})
    assert answer.status_code in (400, 413, 431)
    assert (await suite.http.get(f"{suite.url}/livez")).status_code == 200
    assert (await suite.chat("still well")).status_code == 200


async def test_documentation_loads_nothing_from_elsewhere(suite: Suite) -> None:
    page = await suite.http.get(f"{suite.url}/docs")
    assert page.status_code == 200
    assert "https://" not in page.text.replace("https://github.com", "")
    document = (await suite.http.get(f"{suite.url}/openapi.json")).json()
    assert {"/v1/chat/completions", "/v1/models", "/v1/usage", "/v1/keys"} <= document["paths"].keys()
