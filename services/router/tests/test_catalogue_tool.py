"""``python -m omnix_router.catalogue``, which ``omnix catalogue`` runs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from omnix_router.catalogue.__main__ import main

from .price_server import PriceServer, content, price_server
from .test_catalogue_importing import entry

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in ("OMNIX_CATALOGUE_FILE", "OMNIX_CATALOGUE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMNIX_DATA_DIR", str(tmp_path / "data"))

    def once(*words: str) -> tuple[int, str, str]:
        code = main(words)
        out, err = capsys.readouterr()
        return code, out, err

    return once


@pytest.fixture
def server() -> Iterator[PriceServer]:
    with price_server() as server:
        yield server


def test_import_tells_what_it_did_and_refresh_asks_the_same_address(
    run: Run, server: PriceServer, tmp_path: Path
) -> None:
    server.answer = content(json.dumps({"brand-new": entry()}).encode(), etag='"1"')
    code, out, _ = run("import", server.address())
    assert code == 0
    assert out.splitlines() == [
        "new      openai/brand-new",
        "1 models: 1 new, 0 with another price, 0 gone, 0 left out",
        f"written to {tmp_path}/data/imported-catalogue.json",
    ]
    assert run("refresh") == (0, "nothing has changed there since the last import\n", "")
    server.answer = content(json.dumps({"brand-new": entry(2e-06)}).encode(), etag='"2"')
    assert run("refresh", "--dry-run")[1].splitlines() == [
        "changed  openai/brand-new: input 1 → 2",
        "1 models: 0 new, 1 with another price, 0 gone, 0 left out",
        "nothing was written",
    ]
    assert run("refresh")[0] == 0
    assert [etag for _, etag in server.asked] == [None, '"1"', '"1"', '"1"']


def test_refresh_without_an_import_says_what_to_do(run: Run) -> None:
    code, out, err = run("refresh")
    assert (code, out) == (2, "")
    assert err == "omnix: there was no import yet; name a file or an address: omnix catalogue import FILE|URL\n"


def test_refused_map_ends_with_one_sentence(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "map.json"
    file.write_text("[]")
    assert run("import", str(file)) == (
        1,
        "",
        f"omnix: nothing was imported: {file}: is not an object by model, but a list\n",
    )


def test_out_names_another_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "map.json"
    file.write_text(json.dumps({"brand-new": entry()}))
    assert run("import", str(file), "--out", str(tmp_path / "mine.json"))[0] == 0
    assert run("show", "--out", str(tmp_path / "mine.json"), "brand-new")[0] == 0
    assert run("show", "brand-new")[0] == 1


def test_show_tells_all_of_one_model(run: Run) -> None:
    code, out, _ = run("show", "claude-haiku-4-5")
    assert code == 0
    assert out.splitlines()[0] == "bedrock/global.anthropic.claude-haiku-4-5-20251001-v1:0"
    assert "  reasoning  budget 1,024 to 63,999 or 0; flash = 0, think = 8192, ultra-think = 32000" in out.splitlines()
    assert (
        "             input 1, output 5, cached input 0.1, cache write 1.25, longer cache write 2" in out.splitlines()
    )


def test_show_lists_all_models_and_marks_retired_ones(run: Run) -> None:
    lines = run("show")[1].splitlines()
    assert lines[0].split() == ["model", "context", "answer", "in", "/1M", "out", "/1M"]
    retired = [line.split()[0] for line in lines if line.endswith("retired")]
    assert "bedrock/anthropic.claude-3-7-sonnet-20250219-v1:0" in retired
    assert "openai/gpt-6-sol" not in retired


def test_show_as_json_is_exact(run: Run) -> None:
    [model] = json.loads(run("show", "gemini/gemini-pro", "--json")[1])
    assert model["id"] == "gemini/gemini-3.1-pro-preview"
    assert model["reasoning"]["modes"] == {"flash": "low", "think": "medium", "ultra-think": "high"}
    assert model["prices"][0]["tiers"][0] == {
        "above": 200_000,
        "input": 4_000_000,
        "output": 18_000_000,
        "cached_input": 400_000,
        "cache_write": None,
        "long_cache_write": None,
        "reasoning": None,
        "audio_input": None,
        "audio_output": None,
    }
    assert len(json.loads(run("show", "--json")[1])) > 200


def test_broken_file_of_the_operator_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text("models = 3")
    monkeypatch.setenv("OMNIX_CATALOGUE_FILE", str(tmp_path / "mine.toml"))
    code, _, err = run("show")
    assert code == 2
    assert err.startswith(f"omnix: OMNIX_CATALOGUE_FILE: {tmp_path}/mine.toml: Expected `array`")
