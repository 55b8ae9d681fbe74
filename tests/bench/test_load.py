import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.messages import LoadSpec
from bench.observe import observe
from bench.processes import cpu_seconds, spawned, tree
from bench.session import running_upstream
from bench.targets import Bare, Running, Upstream


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with running_upstream(tmp_path_factory.mktemp("upstream")) as upstream:
        yield upstream


def _spec(upstream: Upstream, *, model: str = "gpt-4o", stream: bool = True, clock: bool = False) -> LoadSpec:
    endpoint = Bare().endpoint(upstream)
    return LoadSpec(
        host=endpoint.host,
        port=endpoint.port,
        path=endpoint.path,
        headers=dict(endpoint.headers),
        model=model,
        stream=stream,
        tokens=30,
        pace=100 if clock else 0,
        clock=clock,
        concurrency=3,
        requests=9,
        seconds=5,
        timeout=5,
    )


def _running(upstream: Upstream) -> Running:
    return Running(Bare().endpoint(upstream), pids=lambda: [upstream.pid])


@pytest.mark.parametrize("stream", [False, True])
def test_every_answer_of_a_sound_upstream_is_whole(upstream: Upstream, stream: bool) -> None:
    seen = observe(_running(upstream), upstream, _spec(upstream, stream=stream), settle=0)

    assert (seen.result.asked, seen.result.whole, seen.result.failures) == (9, 9, {})
    assert seen.result.tokens == 9 * 30
    assert seen.result.latency.count == 9


def test_each_stamped_token_gives_one_lateness(upstream: Upstream) -> None:
    seen = observe(_running(upstream), upstream, _spec(upstream, clock=True), watch_memory=True, settle=0)

    assert seen.result.whole == 9
    assert seen.result.lateness.count == seen.result.tokens == 9 * 30
    assert 0 <= seen.result.lateness.p50 <= seen.result.lateness.p99 <= seen.result.lateness.most
    assert seen.pss_before > 0
    assert seen.pss_samples


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("cut-after-5", "connection closed"),
        ("500", "HTTP 500"),
        ("no-done", "no end marker"),
        ("no-finish", "finish reason None"),
    ],
)
def test_an_answer_that_is_not_whole_is_counted_by_its_reason(upstream: Upstream, fault: str, reason: str) -> None:
    seen = observe(_running(upstream), upstream, _spec(upstream, model=f"sandbox-{fault}"), settle=0)

    assert seen.result.whole == 0
    assert [(told.startswith(reason), count) for told, count in seen.result.failures.items()] == [(True, 9)]


def test_the_cpu_of_services_is_told_by_name(upstream: Upstream) -> None:
    running = Running(Bare().endpoint(upstream), pids=lambda: [upstream.pid], services=lambda: {"vendor": upstream.pid})
    seen = observe(running, upstream, _spec(upstream), settle=0)

    assert list(seen.services_cpu_seconds) == ["vendor"]
    assert seen.services_cpu_seconds["vendor"] == pytest.approx(seen.gateway_cpu_seconds, abs=0.01)
    assert seen.services_cpu_seconds["vendor"] > 0


def test_a_service_that_was_replaced_meanwhile_has_no_cpu(upstream: Upstream) -> None:
    pids = iter([upstream.pid, os.getpid()])
    running = Running(Bare().endpoint(upstream), pids=lambda: [upstream.pid], services=lambda: {"vendor": next(pids)})

    assert observe(running, upstream, _spec(upstream), settle=0).services_cpu_seconds == {}


def test_no_descendant_outlives_its_block(tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE).wait()"
    with spawned([sys.executable, "-c", child], log=tmp_path / "log") as process:
        while len(members := tree(process.pid)) < 2:
            assert process.poll() is None
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in members)


def test_cpu_of_this_process_is_what_the_system_says() -> None:
    assert cpu_seconds([os.getpid()]) == pytest.approx(sum(os.times()[:4]), abs=0.05)
