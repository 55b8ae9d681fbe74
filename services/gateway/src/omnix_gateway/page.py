"""The OpenAPI document as one page that loads nothing: no script, no style sheet, no font of elsewhere."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.4 ui-monospace,monospace}
pre{overflow:auto;padding:.75rem;border:1px solid #8884;border-radius:.4rem}
details{border:1px solid #8886;border-radius:.4rem;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}
.method{display:inline-block;min-width:4.5rem;font-weight:700;text-transform:uppercase}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #8883}
"""


def page(document: Mapping[str, Any]) -> str:
    """The page, whole."""
    return "".join(_page(document))


def _page(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<style>{_STYLE}</style></head><body><h1>{title}</h1><p>{escape(info['summary'])}</p>"
    yield "<p>Send your key as <code>Authorization: Bearer …</code>, <code>x-api-key</code> or <code>api-key</code>. "
    yield 'The document for machines is <a href="/openapi.json">/openapi.json</a>.</p>'
    tags: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).append((method, path, operation))
    for tag, operations in tags.items():
        yield f"<h2>{escape(tag)}</h2>"
        for method, path, operation in operations:
            yield from _operation(method, path, operation)
    yield "<h2>Schemas</h2>"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        yield f"<p>{_text(schema.get('description', ''))}</p>"
        yield from _properties(schema)
        yield "</details>"
    yield "</body></html>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<details id="{escape(operation["operationId"])}"><summary><span class="method">{escape(method)}</span>'
    yield f"<code>{escape(path)}</code> {_text(operation['summary'])}</summary>"
    if "description" in operation:
        yield f"<p>{_text(operation['description'])}</p>"
    if parameters := operation.get("parameters"):
        yield "<h4>Parameters</h4><table>"
        for each in parameters:
            kind = _kind(each["schema"])
            yield f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td><td>{kind}</td>"
            yield f"<td>{_text(each.get('description', ''))}</td></tr>"
        yield "</table>"
    if body := operation.get("requestBody"):
        yield f"<h4>Body</h4><p>{_kind(body['content']['application/json']['schema'])}</p>"
    yield "<h4>Answers</h4><table>"
    for status, answer in operation["responses"].items():
        kinds = [
            f"<code>{escape(media)}</code> {_kind(content['schema'])}"
            for media, content in answer.get("content", {}).items()
        ]
        yield f"<tr><td>{escape(status)}</td><td>{_text(answer['description'])}</td><td>{'<br>'.join(kinds)}</td></tr>"
        for name, header in answer.get("headers", {}).items():
            yield f"<tr><td></td><td><code>{escape(name)}</code></td><td>{_text(header['description'])}</td></tr>"
    yield "</table></details>"


def _properties(schema: Mapping[str, Any]) -> Iterator[str]:
    required = set(schema.get("required", ()))
    yield "<table>"
    for name, kind in schema.get("properties", {}).items():
        must = "required" if name in required else ""
        yield f"<tr><td><code>{escape(name)}</code></td><td>{_kind(kind)}</td><td>{must}</td></tr>"
    yield "</table>"


def _kind(schema: Mapping[str, Any]) -> str:
    """A type in a few words, with links to schemas."""
    if reference := schema.get("$ref"):
        name = str(reference).rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    if choices := schema.get("anyOf"):
        return " or ".join(_kind(choice) for choice in choices)
    if values := schema.get("enum"):
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in values)
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    described = _text(schema.get("description", ""))
    return " ".join(part for part in (escape(str(schema.get("type", "any"))), *bounds, described) if part)


def _text(text: str) -> str:
    """Escaped, with what stands in backticks as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))
