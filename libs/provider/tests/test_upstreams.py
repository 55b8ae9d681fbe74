"""What an operator may say of servers, and that what is wrong is named and no secret told."""

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import Struct
from omnix_kit.errors import ConfigurationError
from omnix_provider.upstreams import Key, Table, checked_url, keep_alive, key_in, named, read_file
from pydantic import SecretStr


class One(Table, forbid_unknown_fields=True):
    url: str
    words: tuple[str, ...] = ()


class File(Struct, forbid_unknown_fields=True):
    server: tuple[One, ...] = ()


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://x.example/v1", "https://x.example/v1"),
        ("http://127.0.0.1:8099/", "http://127.0.0.1:8099"),
        ("http://[::1]:8000/a/b", "http://[::1]:8000/a/b"),
        ("https://x.example/a%20b/@me", "https://x.example/a%20b/@me"),
    ],
)
def test_address_is_taken_without_the_slash_at_its_end(url: str, taken: str) -> None:
    assert checked_url(url, "X_URL") == taken


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "an http or https address"),
        ("x.example/v1", "an http or https address"),
        ("ftp://x.example", "an http or https address"),
        ("http://", "an http or https address"),
        ("http://:80", "an http or https address"),
        ("http://x:port", "an http or https address"),
        ("http://x:99999", "an http or https address"),
        ("http://[::1", "an http or https address"),
        ("http://x/s3cret\r\nX: y", "an http or https address"),
        ("http://x/s3cret v1", "an http or https address"),
        ("http://user:s3cret@x", "no credentials"),
        ("http://s3cret@x", "no credentials"),
        ("http://@x", "no credentials"),
        ("https://x/v1?api-key=s3cret", "no query"),
        ("https://x/v1?", "no query"),
        ("https://x?s3cret", "no query"),
        ("https://x/v1#s3cret", "no fragment"),
        ("https://x/v1#", "no fragment"),
    ],
)
def test_address_that_nothing_can_be_put_behind_is_refused_by_its_key(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match="X_URL: must ") as refused:
        checked_url(url, "X_URL")
    assert told in str(refused.value)
    assert "s3cret" not in str(refused.value)


def written(folder: Path, text: str) -> Path:
    file = folder / "servers.toml"
    file.write_text(text)
    return file


def test_file_is_read_in_its_form_and_each_table_told_its_place(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[[server]]\nname = "a"\nurl = "http://a"\n[[server]]\nname = "b"\nurl = "http://b"\nkeep_alive = "1m"\n'
        'words = ["x"]',
    )
    one, two = named(read_file(file, File, "X_FILE").server, "X_FILE: f: server", "own")
    assert one == ("X_FILE: f: server[0]", One(name="a", url="http://a"))
    assert two == ("X_FILE: f: server[1]", One(name="b", url="http://b", keep_alive="1m", words=("x",)))
    assert [keep_alive(table, at) for at, table in (one, two)] == [timedelta(seconds=4), timedelta(minutes=1)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[server", "servers.toml"),
        ('[[server]]\nname = "a"', "url"),
        ('[[server]]\nurl = "http://a"', "name"),
        ('[[server]]\nname = "a"\nurl = 3', "$.server[0].url"),
        ('[[server]]\nname = "a"\nurl = "http://a"\ncolour = "red"', "colour"),
        ("colour = 1", "colour"),
        (None, "cannot read"),
    ],
)
def test_file_that_cannot_be_read_is_named_with_its_variable(tmp_path: Path, text: str | None, told: str) -> None:
    file = tmp_path / "servers.toml" if text is None else written(tmp_path, text)
    with pytest.raises(ConfigurationError) as refused:
        read_file(file, File, "X_FILE")
    assert str(refused.value).startswith("X_FILE: ")
    assert str(file) in str(refused.value)
    assert told in str(refused.value)


@pytest.mark.parametrize("name", ["", "own", "a/b", "a b", "taken"])
def test_name_that_cannot_be_one_is_refused_by_its_place(name: str) -> None:
    tables = (One(name="taken", url="http://a"), One(name=name, url="http://b"))
    with pytest.raises(ConfigurationError, match=r"^server\[1\]\.name: must be given once, not be 'own'"):
        list(named(tables, "server", "own"))


@pytest.mark.parametrize("duration", ["", "soon", "-1s", "9" * 30 + "h"])
def test_time_that_is_none_is_refused_by_its_key(duration: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^server\[0\]\.keep_alive: "):
        keep_alive(One(name="a", url="http://a", keep_alive=duration), "server[0]")


def test_key_is_that_of_the_variable_and_its_absence_a_problem() -> None:
    assert key_in(None, {}) == Key(None, None)
    assert key_in("A_KEY", {"A_KEY": "s3cret"}) == Key(SecretStr("s3cret"), None)
    assert "s3cret" not in repr(key_in("A_KEY", {"A_KEY": "s3cret"}))
    for environment in ({}, {"A_KEY": ""}):
        assert key_in("A_KEY", environment) == Key(None, "A_KEY is not set.")
