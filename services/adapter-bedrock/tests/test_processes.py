"""Programs that give credentials, as a profile names them: real scripts, some of which never end."""

import asyncio
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from omnix_adapter_bedrock import credentials as credentials_module
from omnix_adapter_bedrock import processes
from omnix_adapter_bedrock.credentials import Credentials
from omnix_adapter_bedrock.provider import _chain, opened
from omnix_adapter_bedrock.upstream import Upstream
from omnix_kit.testing import eventually
from omnix_provider import offered
from omnix_provider.errors import AuthFailed
from omnix_sandbox.testing import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "s3cret"
"""Of the command line."""


class Script:
    """The profile's program; what it does can be changed while it is used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "credentials.sh"

    def does(self, *lines: str) -> None:
        fresh = self._folder / "fresh.sh"
        fresh.write_text("\n".join(["#!/bin/sh", f'echo "$$" >> {self._folder}/begun', *lines]) + "\n")
        fresh.chmod(stat.S_IRWXU)
        fresh.replace(self.path)

    def gives(self, key: str, lasting: timedelta | None = None) -> None:
        ends = "" if lasting is None else f',"Expiration":"{(datetime.now(UTC) + lasting).isoformat()}"'
        self.does(f"""echo '{{"Version":1,"AccessKeyId":"{key}","SecretAccessKey":"s","SessionToken":"t"{ends}}}'""")

    def hangs(self) -> None:
        """In a child that holds its output open."""
        self.does("sleep 300 &", f'echo "$!" >> {self._folder}/begun', "wait")

    def begun(self) -> list[int]:
        with suppress(FileNotFoundError):
            return [int(line) for line in (self._folder / "begun").read_text().split()]
        return []


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Script:
    made = Script(tmp_path)
    config = tmp_path / "config"
    config.write_text(
        f"[profile made]\ncredential_process = {made.path} {SECRET}\n"
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = made\nregion = us-east-1\n"
    )
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_PROFILE", "made")
    return made


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_ENDS_WITHIN", 1.0)
    monkeypatch.setattr(credentials_module, "_NOT_AGAIN_BEFORE", 0.0)
    monkeypatch.setattr(offered, "_SHORTEST_PAUSE", 0.05)


async def has(credentials: Credentials, key: str) -> bool:
    return (await credentials.current()).access_key == key


@pytest.mark.parametrize("profile", ["made", "role"])
async def test_process_that_does_not_end_is_ended_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, script: Script, profile: str
) -> None:
    """Also where a role takes its source from it."""
    monkeypatch.setenv("AWS_PROFILE", profile)
    script.hangs()
    credentials = Credentials(_chain, "bedrock")
    async with asyncio.timeout(10):
        with pytest.raises(AuthFailed, match=r"the credential_process did not end within 1 s\.") as told:
            await credentials.current()
    assert not told.value.reached
    begun = script.begun()
    assert len(begun) == 2
    await eventually(lambda: not any(map(alive, begun)))
    assert SECRET not in caplog.text + str(told.value)


async def test_process_that_ended_late_once_is_asked_again_without_a_restart(script: Script) -> None:
    script.hangs()
    credentials = Credentials(_chain, "bedrock")
    with pytest.raises(AuthFailed):
        await credentials.current()
    script.gives("k1")
    assert credentials.problem is not None
    await eventually(lambda: credentials.problem is None)
    assert (await credentials.current()).access_key == "k1"


async def test_renewal_that_does_not_end_takes_the_keys_from_nobody_and_the_next_one_helps(
    caplog: pytest.LogCaptureFixture, script: Script
) -> None:
    script.gives("k1", timedelta(minutes=12))
    credentials = Credentials(_chain, "bedrock")
    assert (await credentials.current()).access_key == "k1"
    before = len(script.begun())
    script.hangs()

    async def hanging() -> bool:
        assert await has(credentials, "k1")
        return len(script.begun()) >= before + 2

    await eventually(hanging)
    script.gives("k2", timedelta(hours=1))
    await eventually(lambda: has(credentials, "k2"))
    await eventually(lambda: not any(map(alive, script.begun())))
    assert SECRET not in caplog.text


async def test_provider_whose_process_hung_serves_and_lists_once_it_does_not(
    monkeypatch: pytest.MonkeyPatch, script: Script, sandbox: Sandbox
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", f"{sandbox.url}/bedrock")
    script.hangs()
    async with opened(Upstream(f"{sandbox.url}/bedrock", "us-east-1")) as provider:
        await eventually(lambda: provider.problem() is not None)
        assert provider.problem() == "AWS credentials cannot be had: the credential_process did not end within 1 s."
        assert provider.list_models() == ()
        script.gives("AKIAANY")
        await eventually(lambda: provider.problem() is None)
        await eventually(lambda: bool(provider.list_models()))
