"""Which addresses are kept, which make room, and for how long: with a clock that stands where it is put."""

from datetime import timedelta

import pytest
from omnix_router.adapters import Adapters
from omnix_router.catalogue.reading import load
from omnix_router.clients import AdapterClient
from omnix_router.registration.allowed import Allowed
from omnix_router.registration.convert import Beat
from omnix_router.registration.registering import MOST, Registering

SECOND = timedelta(seconds=1)


class Watched(Adapters):
    """Keeps account of who came and who left."""

    def __init__(self) -> None:
        super().__init__([], load(None), SECOND, SECOND)
        self.here: set[str] = set()
        self.known: set[str] = set()

    def register(self, client: AdapterClient) -> None:
        self.here.add(client.address)
        self.known.add(client.address)
        super().register(client)

    def leave(self, client: AdapterClient) -> None:
        self.here.remove(client.address)
        super().leave(client)

    def forget(self, client: AdapterClient) -> None:
        self.known.remove(client.address)
        super().forget(client)


class Scene:
    def __init__(self) -> None:
        self.adapters = Watched()
        self.clients = 0
        self.registering = Registering(
            self.adapters,
            self._client,
            Allowed.of(["127.0.0.1"]),
            ["127.0.0.1:1"],
            silence=timedelta(seconds=30),
            memory=timedelta(seconds=600),
        )
        self.registering.look(0, is_listening=True)

    def _client(self, address: str) -> AdapterClient:
        self.clients += 1
        return AdapterClient(frozenset(), address, None, SECOND)

    def beat(self, port: int, now: float, sender: str = "") -> None:
        self.registering.heard(Beat(sender or f"s{port}", f"127.0.0.1:{port}"), now)


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_silence_is_leaving_and_a_beat_is_coming_back_over_the_same_connection(scene: Scene) -> None:
    scene.beat(5001, 0)
    scene.registering.look(30, is_listening=True)
    assert scene.adapters.here == {"127.0.0.1:5001"}
    scene.registering.look(31, is_listening=True)
    assert (scene.adapters.here, scene.adapters.known) == (set(), {"127.0.0.1:5001"})
    scene.beat(5001, 40, "restarted")
    assert (scene.adapters.here, scene.clients) == ({"127.0.0.1:5001"}, 1)


async def test_nobody_leaves_while_nobody_can_be_heard(scene: Scene) -> None:
    scene.beat(5001, 0)
    scene.registering.look(1, is_listening=False)
    scene.registering.look(120, is_listening=False)
    scene.registering.look(121, is_listening=True)
    assert scene.adapters.here == {"127.0.0.1:5001"}


async def test_who_left_long_ago_is_forgotten(scene: Scene) -> None:
    scene.beat(5001, 0)
    scene.registering.heard(Beat("s5001", ""), 10)
    scene.registering.look(610, is_listening=True)
    assert scene.adapters.known == {"127.0.0.1:5001"}
    scene.registering.look(611, is_listening=True)
    assert scene.adapters.known == set()
    scene.beat(5001, 612)
    assert (scene.adapters.here, scene.clients) == ({"127.0.0.1:5001"}, 2)


async def test_last_word_of_an_earlier_process_does_not_count(scene: Scene) -> None:
    scene.beat(5001, 0, "first")
    scene.beat(5001, 1, "second")
    scene.registering.heard(Beat("first", ""), 2)
    assert scene.adapters.here == {"127.0.0.1:5001"}


async def test_number_of_addresses_is_bounded_and_who_left_first_makes_room(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for port in range(5001, 5001 + MOST):
        scene.beat(port, 0)
    one_more = 5001 + MOST
    for now in range(1, 6):
        scene.beat(one_more, now)
    assert (len(scene.adapters.here), scene.clients) == (MOST, MOST)
    assert [record.__dict__["why"] for record in caplog.records if record.levelname == "WARNING"] == ["room"]
    scene.registering.heard(Beat("s5003", ""), 7)
    scene.registering.heard(Beat("s5002", ""), 8)
    scene.beat(one_more, 9)
    assert f"127.0.0.1:{one_more}" in scene.adapters.here
    assert "127.0.0.1:5003" not in scene.adapters.known
    assert (len(scene.adapters.here), len(scene.adapters.known)) == (MOST - 1, MOST)


async def test_refusals_are_told_once_each_and_what_is_remembered_of_them_is_bounded(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        for number in range(200):
            scene.registering.heard(Beat("x", f"10.0.0.{number}:5001"), 0)
    assert len(caplog.records) == 200
    for number in range(500):
        scene.registering.heard(Beat("x", f"{number}" * 10_000), 0)
    assert max(len(address) for address, _ in scene.registering._told) <= 300
    assert len(scene.registering._told) <= 256
    assert (scene.adapters.known, scene.clients) == (set(), 0)


async def test_configured_address_needs_no_registering(scene: Scene) -> None:
    scene.beat(1, 0)
    assert (scene.adapters.known, scene.clients) == (set(), 0)
