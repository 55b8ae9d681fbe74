"""What of the outside a service gets to see."""

from pathlib import Path

import pytest
from omnix_cli import environment


def test_environment_wins_over_the_file_and_empty_counts_as_absent(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("export A=file\nB='from the $file'\nOPENAI_API_KEY=\n# C=1\n")
    assert environment.outside({"A": "environment", "EMPTY": ""}, file) == {"A": "environment", "B": "from the $file"}


def test_absent_file_is_no_error(tmp_path: Path) -> None:
    assert environment.outside({"A": "1"}, tmp_path / ".env") == {"A": "1"}


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("PATH", True),
        ("OMNIX_LOG_LEVEL", True),
        ("OMNIX_GRPC_TOKEN", True),
        ("OMNIX_ROUTES_FILE", True),
        ("KEYBOARD", True),
        ("OPENAI_BASE_URL", False),
        ("openai_api_key", False),
        ("OMNIX_ADMIN_KEY", False),
        ("OMNIX_API_KEY", False),
        ("OMNIX_STORE_URL", False),
        ("GROQ_API_KEY", False),
        ("AWS_REGION", False),
        ("MY_DB_PASSWORD", False),
    ],
)
def test_service_sees_no_credential_but_its_own(name: str, seen: bool) -> None:
    outside = {name: "value"}
    assert (name in environment.of_service(outside, (), {}, "mark")) is seen
    assert environment.of_service(outside, {name}, {}, "mark")[name] == "value"


def test_keys_of_further_upstreams_belong_to_the_adapter(tmp_path: Path) -> None:
    file = tmp_path / "upstreams.toml"
    file.write_text(
        '[[upstreams]]\nname = "vllm"\napi_key_env = "VLLM_KEY"\n[more.groq]\napi_key_env = "GROQ_API_KEY"\n'
        '[[endpoint]]\ntoken_env = "LLAMA_TOKEN"\n'
    )
    named = environment.credentials_of_file({"OMNIX_UPSTREAMS_FILE": str(file)}, "OMNIX_UPSTREAMS_FILE")
    assert named == {"VLLM_KEY", "GROQ_API_KEY", "LLAMA_TOKEN"}


@pytest.mark.parametrize("content", [None, "not toml ["])
def test_unreadable_file_of_upstreams_is_left_to_its_reader(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "upstreams.toml"
    if content is not None:
        file.write_text(content)
    assert environment.credentials_of_file({"OMNIX_UPSTREAMS_FILE": str(file)}, "OMNIX_UPSTREAMS_FILE") == frozenset()


def test_loopback_is_reached_past_a_proxy() -> None:
    seen = environment.of_service({"NO_PROXY": "intranet"}, (), {}, "mark")
    assert seen["NO_PROXY"] == "intranet,127.0.0.1,localhost,::1"
