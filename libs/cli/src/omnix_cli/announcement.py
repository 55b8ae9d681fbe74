"""What is said once the suite is ready."""

from omnix_cli.suite import VENDORS

_MODEL = "gpt-4o"


def told(url: str, key: str, sandboxed: list[str]) -> str:
    """Address, key, and requests that work as pasted."""
    return f"""\
OmniX is ready at {url}
Admin key: {key}

{providers(sandboxed)}

  curl {url}/v1/chat/completions \\
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"model": "{_MODEL}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

  # Python, with `pip install openai`
from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key="{key}")
answer = client.chat.completions.create(model="{_MODEL}", messages=[{{"role": "user", "content": "Hello!"}}])
print(answer.choices[0].message.content)
"""


def providers(sandboxed: list[str]) -> str:
    """One line for each provider: the vendor, or the SANDBOX in its place."""
    lines = []
    for vendor in VENDORS:
        if vendor.name in sandboxed:
            lines.append(
                f"Provider {vendor.name}: SANDBOX. Its answers are made up on this machine; "
                f"set {' or '.join(vendor.keys)} to call the vendor."
            )
        else:
            lines.append(f"Provider {vendor.name}: the vendor itself, with your {' or '.join(vendor.keys)}.")
    return "\n".join(lines)
