"""Which servers are called, and that a bad configuration ends the process with the place of the mistake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from omnix_adapter_openai.settings import Settings
from omnix_adapter_openai.upstreams import configured
from omnix_kit.errors import ConfigurationError
from omnix_kit.settings import load


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("OPENAI_", "OMNIX_")):
            monkeypatch.delenv(name)


def test_key_means_the_vendor_and_its_absence_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    [nobody] = configured(load(Settings), {})
    assert (nobody.base_url, nobody.problem) == ("https://api.openai.com/v1", "OPENAI_API_KEY is not set.")
    monkeypatch.setenv("OMNIX_SANDBOX_URL", "http://127.0.0.1:8099/")
    [sandbox] = configured(load(Settings), {})
    assert (sandbox.base_url, sandbox.sandbox, sandbox.problem) == ("http://127.0.0.1:8099/openai/v1", True, None)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1")
    [vendor] = configured(load(Settings), {})
    assert (vendor.base_url, vendor.sandbox, vendor.problem) == ("https://proxy.example/v1", False, None)


def test_file_adds_named_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "upstreams.toml"
    file.write_text(
        """
        [[upstream]]
        name = "ollama"
        base_url = "http://127.0.0.1:11434/v1"
        [[upstream]]
        name = "vllm"
        base_url = "https://gpu.example/v1"
        api_key_env = "VLLM_KEY"
        max_tokens_field = "max_completion_tokens"
        stream_usage = false
        prefix = "continue_final_message"
        extra_parameters = ["top_k"]
        """
    )
    monkeypatch.setenv("OMNIX_UPSTREAMS_FILE", str(file))
    _, ollama, vllm = configured(load(Settings), {"VLLM_KEY": "secret"})
    assert (ollama.name, ollama.api_key, ollama.problem, ollama.dialect("m").max_tokens_field) == (
        "ollama",
        None,
        None,
        "max_tokens",
    )
    assert vllm.api_key is not None
    assert (vllm.api_key.get_secret_value(), vllm.dialect("m").stream_usage) == ("secret", False)
    assert "top_k" in vllm.dialect("m").parameters
    assert (ollama.dialect("m").continued, vllm.dialect("m").continued) == (None, "continue_final_message")
    assert configured(load(Settings), {})[2].problem == "VLLM_KEY is not set."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[upstream]", "upstreams.toml"),
        ('[[upstream]]\nname = "a"', "base_url"),
        ('[[upstream]]\nname = "a"\nbase_url = 3', "$.upstream[0].base_url"),
        ('[[upstream]]\nname = "a"\nbase_url = "ftp://x"', "upstream[0].base_url"),
        ('[[upstream]]\nname = "a"\nbase_url = "http://u:p@x"', "must hold no credentials"),
        ('[[upstream]]\nname = "a"\nbase_url = "http://x/v1?key=y"', "upstream[0].base_url: must hold no query"),
        ('[[upstream]]\nname = "a"\nbase_url = "http://x/v1#y"', "upstream[0].base_url: must hold no query"),
        ('[[upstream]]\nname = "openai"\nbase_url = "http://x"', "upstream[0].name"),
        ('[[upstream]]\nname = "a"\nbase_url = "http://x"\ntypo = 1', "typo"),
        ('[[upstream]]\nname = "a"\nbase_url = "http://x"\nprefix = "yes"', "$.upstream[0].prefix"),
        ('[[upstream]]\nname = "a"\nbase_url = "http://x"\nkeep_alive = "long"', "upstream[0].keep_alive"),
        (None, "cannot read"),
    ],
)
def test_bad_file_is_refused_by_file_and_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "upstreams.toml"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("OMNIX_UPSTREAMS_FILE", str(file))
    with pytest.raises(ConfigurationError) as refused:
        configured(load(Settings), {})
    assert told in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize("url", ["http://x/v1?api-version=1", "http://x/v1#y", "http://u:p@x/v1", "x/v1"])
@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OMNIX_SANDBOX_URL"])
def test_address_that_nothing_can_be_put_behind_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str
) -> None:
    monkeypatch.setenv(variable, url)
    with pytest.raises(ConfigurationError, match=f"^{variable}: must "):
        configured(load(Settings), {})


def test_bad_file_ends_the_process_with_code_2_on_one_line(tmp_path: Path) -> None:
    file = tmp_path / "absent.toml"
    ended = subprocess.run(
        [sys.executable, "-m", "omnix_adapter_openai"],
        env={**os.environ, "OMNIX_UPSTREAMS_FILE": str(file)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert str(file) in ended.stderr
    assert "Traceback" not in ended.stderr
