"""The OpenAPI document and the page made of it."""

import re

from omnix_gateway.openapi.document import OPERATIONS

from .conftest import Gateway


async def test_the_document_is_complete_and_the_page_loads_nothing(gateway: Gateway) -> None:
    told = (await gateway.http.get("/openapi.json")).json()
    documented = {(method, path) for path, methods in told["paths"].items() for method in methods}
    assert documented == {(operation.method, operation.path) for operation in OPERATIONS}
    text = (await gateway.http.get("/openapi.json")).text
    for reference in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert reference in told["components"]["schemas"]
    answer = await gateway.http.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert re.findall(r'(?:src|href)="(?!#|/openapi\.json)[^"]*"|https?://|<script|@import|url\(', answer.text) == []
    assert "/v1/chat/completions" in answer.text
    assert (await gateway.http.get("/")).json()["documentation"] == "/docs"
