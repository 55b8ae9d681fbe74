from pathlib import Path

import pytest
from omnix_kit.testing import eventually
from omnix_provider.testing import Adapter

VENDORS = {
    "AWS_PROFILE": "mine",
    "GEMINI_API_KEY": "mine",
    "GOOGLE_CLOUD_PROJECT": "mine",
    "HF_TOKEN": "mine",
    "OPENAI_API_KEY": "mine",
    "OMNIX_MAX_STREAMS": "1",
}


async def test_adapter_is_kept_from_the_variables_of_whoever_runs_the_tests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in VENDORS.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "teller.py").write_text("import os, sys\nsys.stderr.write(' '.join([*os.environ, 'over']))\n")
    adapter = Adapter("teller", tmp_path, {"PYTHONPATH": str(tmp_path), "HF_TOKEN": "the test's"})
    adapter.start()
    try:
        await eventually(lambda: adapter.log.read_text().endswith("over"))
        told = set(adapter.log.read_text().split())
        assert told & set(VENDORS) == {"HF_TOKEN"}
        assert {"PATH", "OMNIX_DATA_DIR"} <= told
    finally:
        adapter.kill()
        await adapter.remote.close()
