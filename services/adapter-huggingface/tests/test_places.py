"""Which servers are called, from the settings and the file."""

from pathlib import Path

import pytest
from omnix_adapter_huggingface.dialects import ROUTER, TEI
from omnix_adapter_huggingface.places import configured
from omnix_adapter_huggingface.settings import Settings
from omnix_kit.errors import ConfigurationError
from pydantic import SecretStr


def settings(**more: object) -> Settings:
    return Settings(_env_file=None, data_dir=Path("/tmp/x"), **more)  # type: ignore[call-arg, arg-type]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_BASE_URL", "HF_BILL_TO", "OMNIX_SANDBOX_URL", "OMNIX_ENDPOINTS_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_router_is_called_with_the_token() -> None:
    [place] = configured(settings(hf_token=SecretStr("hf_x"), hf_bill_to="acme"), {})
    assert (place.name, place.base_url, place.bill_to) == ("huggingface", "https://router.huggingface.co/v1", "acme")
    assert (place.problem, place.sandbox, place.abilities) == (None, False, ROUTER)


def test_sandbox_stands_in_without_a_token() -> None:
    [place] = configured(settings(sandbox_url="http://127.0.0.1:1/"), {})
    assert (place.base_url, place.sandbox) == ("http://127.0.0.1:1/huggingface/v1", True)
    [place] = configured(settings(), {})
    assert place.problem == "HF_TOKEN is not set."


FILE = """
[[endpoint]]
name = "llama"
url = "https://x.endpoints.huggingface.cloud/v1"
model = "meta-llama/Llama-3.3-70B-Instruct"
token_env = "LLAMA_TOKEN"
tools = false
images = false
extra_parameters = ["repetition_penalty"]
[[endpoint]]
name = "vectors"
url = "http://10.0.0.7:8080/v1"
dialect = "tei"
[[endpoint]]
name = "qwen"
url = "http://10.0.0.8:8000/v1"
dialect = "vllm"
reasoning_field = "reasoning_content"
reasoning_switch = "reasoning_effort"
prefix = "none"
keep_alive = "30s"
"""


def test_endpoints_of_the_file_are_called_as_it_says(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.toml"
    file.write_text(FILE)
    _, llama, vectors, qwen = configured(settings(endpoints_file=file), {"LLAMA_TOKEN": "secret"})
    assert llama.token is not None
    assert (llama.token.get_secret_value(), llama.models) == ("secret", ("meta-llama/Llama-3.3-70B-Instruct",))
    assert llama.abilities.chat is not None
    assert {"tools", "tool_choice", "n"} <= llama.abilities.chat.lacks
    assert not llama.abilities.chat.media
    assert "repetition_penalty" in llama.abilities.chat.parameters
    assert (vectors.abilities, vectors.token, vectors.problem) == (TEI, None, None)
    assert qwen.abilities.chat is not None
    assert (qwen.abilities.chat.reasoning_field, qwen.abilities.chat.switch) == (
        "reasoning_content",
        "reasoning_effort",
    )
    assert qwen.keep_alive.total_seconds() == 30
    assert (llama.abilities.chat.continued, qwen.abilities.chat.continued) == ("last_message", None)


def test_endpoint_without_its_token_says_so(tmp_path: Path) -> None:
    file = tmp_path / "endpoints.toml"
    file.write_text(FILE)
    assert configured(settings(endpoints_file=file), {})[1].problem == "LLAMA_TOKEN is not set."


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[[endpoint", "endpoints.toml"),
        ('[[endpoint]]\nname = "a"', "url"),
        ('[[endpoint]]\nname = "huggingface"\nurl = "http://x"', "endpoint[0].name"),
        ('[[endpoint]]\nname = "a/b"\nurl = "http://x"', "endpoint[0].name"),
        ('[[endpoint]]\nname = "a"\nurl = "x"', "endpoint[0].url"),
        ('[[endpoint]]\nname = "a"\nurl = "http://u:p@x"', "endpoint[0].url"),
        ('[[endpoint]]\nname = "a"\nurl = "http://x/v1?token=u:p"', "endpoint[0].url: must hold no query"),
        ('[[endpoint]]\nname = "a"\nurl = "http://x/v1#u:p"', "endpoint[0].url: must hold no query"),
        ('[[endpoint]]\nname = "a"\nurl = "http://x"\nkeep_alive = "soon"', "endpoint[0].keep_alive"),
        ('[[endpoint]]\nname = "a"\nurl = "http://x"\nprefix = "yes"', "$.endpoint[0].prefix"),
        ('[[endpoint]]\nname = "a"\nurl = "http://x"\ndialect = "ollama"', "dialect"),
        ('[[endpoint]]\nname = "a"\nurl = "http://x"\ncolour = "red"', "colour"),
    ],
)
def test_what_is_wrong_with_the_file_is_named(tmp_path: Path, content: str, told: str) -> None:
    file = tmp_path / "endpoints.toml"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match="OMNIX_ENDPOINTS_FILE") as refused:
        configured(settings(endpoints_file=file), {})
    assert told in str(refused.value)
    assert "u:p" not in str(refused.value)


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        configured(settings(endpoints_file=tmp_path / "none.toml"), {})


@pytest.mark.parametrize(
    "more",
    [
        {"hf_base_url": "router"},
        {"hf_base_url": "https://router.example/v1?x=y"},
        {"hf_base_url": "https://router.example/v1#y"},
        {"hf_token": SecretStr("x"), "hf_bill_to": "a\r\nX: b"},
    ],
)
def test_variable_that_cannot_be_used_is_named(more: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=r"^HF_"):
        configured(settings(**more), {})
