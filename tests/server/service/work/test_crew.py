"""Trouble around a server: slow, many and leaving clients; workers that die, hang or never come up."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from engines.errors import ConfigError
from server.service import connections, intake, routes
from server.service.work import crew
from tests.support.live import Live, running, wait_for

PNG = {"Content_Type": "image/png"}


def connect(live: Live) -> socket.socket:
    return socket.create_connection(("127.0.0.1", live.port), timeout=30)


def head(live: Live, method: str, path: str, *lines: str) -> bytes:
    """A request's head with the first client's token."""
    own = f"Host: 127.0.0.1:{live.port}", f"Authorization: Bearer {live.token}", "Content-Type: image/png"
    return "\r\n".join([f"{method} {path} HTTP/1.1", *own, *lines, "", ""]).encode()


def held(live: Live) -> int:
    """Bytes of photos that are being received."""
    return live.server.service.queue._receiving


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What dies is soon started again."""
    monkeypatch.setattr(crew, "_PAUSES", (0.1, 0.2))


# --- clients
# -------------------------------------------------------------------------------------------------


def test_a_head_that_never_ends_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1.0)
    with running(tmp_path) as live:
        slow = [connect(live) for _ in range(50)]
        for number, connection in enumerate(slow):
            connection.sendall(head(live, "POST", "/v1/jobs")[: number % 40])
        assert live.ask("GET", "/v1/status").status == 200
        for connection in slow:
            assert connection.recv(1) == b""  # closed by the server
            connection.close()
        assert live.until(live.send(b"slow 1.5"), "done")  # while what takes long by itself is let finish


def test_a_body_that_never_ends_is_not_waited_for(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "UPLOAD_SECONDS", 0.5)
    with connect(live) as connection:
        connection.sendall(
            head(live, "POST", "/v1/jobs", "Content-Length: 1000", "Connection: close") + b"echo"
        )
        answer = connection.recv(65536)
    assert b" 408 " in answer.split(b"\r\n")[0] and b"upload_too_slow" in answer
    wait_for(lambda: held(live) == 0)
    assert not list(live.server.service.jobs)


def test_two_hundred_connections_at_once(live: Live) -> None:
    sockets = [connect(live) for _ in range(200)]
    for connection in sockets:
        connection.sendall(head(live, "GET", "/v1/status"))
    assert all(connection.recv(4096).startswith(b"HTTP/1.1 200 ") for connection in sockets)
    with ThreadPoolExecutor(50) as pool:  # and these stay open
        statuses = list(
            pool.map(lambda n: live.ask("POST", "/v1/protect", b"echo %d" % n, **PNG).status, range(100))
        )
    assert set(statuses) == {200}
    for connection in sockets:
        connection.close()


def test_who_leaves_amid_an_upload_leaves_nothing(live: Live) -> None:
    for _ in range(20):
        with connect(live) as connection:
            connection.sendall(head(live, "POST", "/v1/jobs", "Content-Length: 5000000") + bytes(1_000_000))
    wait_for(lambda: held(live) == 0)
    assert not list(live.server.service.jobs)
    assert live.until(live.send(b"echo"), "done")


def test_who_leaves_amid_a_result_may_come_again(live: Live) -> None:
    photo = b"echo " + os.urandom(8_000_000)
    job = live.send(photo)
    live.until(job, "done")
    for _ in range(10):
        with connect(live) as connection:
            connection.sendall(head(live, "GET", f"/v1/jobs/{job}/result"))
            connection.recv(1000)
    assert live.ask("GET", f"/v1/jobs/{job}/result").body == photo


def test_who_does_not_read_is_not_waited_for(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "READ_SECONDS", 0.3)
    job = live.send(b"echo " + bytes(20_000_000))
    live.until(job, "done")
    with connect(live) as connection:
        connection.sendall(head(live, "GET", f"/v1/jobs/{job}/result"))
        received = connection.recv(1000)
        wait_for(lambda: not any(c._current_request for c in live.server.connections._open))
        with suppress(ConnectionResetError):
            while part := connection.recv(1 << 20):
                received += part
    assert len(received) < 20_000_000
    assert live.ask("GET", f"/v1/jobs/{job}/result").status == 200


def test_uploads_share_the_room_of_the_queue(tmp_path: Path) -> None:
    """Many large photos at once are refused before they fill the memory, and their room is given back."""
    with running(tmp_path, queue_mb=2) as live:
        waiting = [connect(live) for _ in range(2)]
        for connection in waiting:
            connection.sendall(head(live, "POST", "/v1/jobs", "Content-Length: 1500000") + bytes(1_000_000))
        wait_for(lambda: held(live) > 1_900_000)
        assert live.ask("POST", "/v1/jobs", bytes(500_000), **PNG).code == "queue_full"
        for connection in waiting:
            connection.close()
        wait_for(lambda: held(live) == 0)
        assert live.ask("POST", "/v1/jobs", b"echo" + bytes(500_000), **PNG).status == 202


def test_the_body_is_asked_for_after_the_guard(live: Live) -> None:
    with connect(live) as connection:
        connection.sendall(head(live, "POST", "/v1/protect", "Content-Length: 4", "Expect: 100-continue"))
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"echo")
        assert b" 200 OK" in connection.recv(4096)
    with connect(live) as connection:
        refused = head(
            live, "POST", "/v1/protect", "Content-Length: 4", "Expect: 100-continue", "Origin: null"
        )
        connection.sendall(refused)
        assert connection.recv(4096).startswith(b"HTTP/1.1 403 ")


# --- workers
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("photo", [b"die", b"nonsense", b"stage", b"flood", b"deep", b"overflow"])
def test_a_worker_that_dies_costs_one_job(live: Live, photo: bytes) -> None:
    first, dead, last = live.send(b"slow 0.2"), live.send(photo), live.send(b"echo last")
    assert live.until(dead, "failed")["error"]["code"] == "worker_failed"
    assert live.ask("GET", f"/v1/jobs/{dead}/result").status == 502
    assert live.until(first, "done") and live.until(last, "done")
    assert live.server.service.crew.restarts == 1


def test_a_worker_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "GRACE", 0.3)
    with running(tmp_path, job_seconds=1) as live:
        hung, after = live.send(b"hang"), live.send(b"echo after")
        assert live.until(hung, "failed")["error"]["code"] == "timeout"
        assert live.until(after, "done")
        deaf = live.send(b"deaf 30")
        live.until(deaf, "running")
        live.ask("DELETE", f"/v1/jobs/{deaf}", X_Clip2Protect="1")
        assert live.until(deaf, "cancelled")
        assert live.until(live.send(b"echo 2"), "done")
        assert live.server.service.crew.restarts == 2


def test_a_worker_that_is_stopped_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "GRACE", 0.3)
    with running(tmp_path, job_seconds=1) as live:
        job = live.send(b"slow 30")
        live.until(job, "running")
        os.kill(live.server.service.crew.pids[0], signal.SIGSTOP)
        assert live.until(job, "failed")["error"]["code"] == "timeout"
        assert live.until(live.send(b"echo"), "done")


def test_cancelling_while_the_photo_is_on_its_way_to_the_worker(live: Live) -> None:
    live.until(live.send(b"echo"), "done")
    os.kill(live.server.service.crew.pids[0], signal.SIGSTOP)
    job = live.send(b"slow 60 " + bytes(20_000_000))
    live.until(job, "running")
    live.ask("DELETE", f"/v1/jobs/{job}", X_Clip2Protect="1")
    os.kill(live.server.service.crew.pids[0], signal.SIGCONT)
    assert live.until(job, "cancelled")
    assert live.until(live.send(b"echo 2"), "done")
    assert live.server.service.crew.restarts == 0


@pytest.mark.parametrize("ending", ["timeout", "cancelled"])
def test_a_job_that_is_over_before_the_worker_begins_it_stays_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(crew, "GRACE", 0.3)
    with running(tmp_path, job_seconds=1) as live:
        live.until(live.send(b"echo"), "done")
        os.kill(live.server.service.crew.pids[0], signal.SIGSTOP)
        job = live.send(b"echo 2")
        live.until(job, "running")
        if ending == "cancelled":
            live.ask("DELETE", f"/v1/jobs/{job}", X_Clip2Protect="1")
        state = "failed" if ending == "timeout" else "cancelled"
        assert live.until(job, state)["error"]["code"] == ending
        assert live.until(live.send(b"echo 3"), "done")  # by another worker
        assert live.job(job)["state"] == state
        text = live.ask("GET", "/v1/metrics").body.decode()
        assert f'clip2protect_jobs_total{{code="{ending}",state="{state}"}} 1.0' in text


def test_the_worker_runs_nothing_that_lies_where_the_server_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("server", "engines", "torch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("open('ran', 'w'); raise SystemExit")
    monkeypatch.chdir(tmp_path)

    async def first_words() -> dict:
        worker = crew.Worker((sys.executable, "-c", "import server, sys; sys.stdout.write(server.__file__)"))
        await worker.start()
        said = (await worker._process.communicate())[0].decode()
        return said

    assert asyncio.run(first_words()) == str(Path(crew.__file__).parents[2] / "__init__.py")
    assert not (tmp_path / "ran").exists()


def test_a_result_that_comes_as_it_is_cancelled_is_not_kept(live: Live) -> None:
    job = live.send(b"deaf 0.5")
    live.until(job, "running")
    live.ask("DELETE", f"/v1/jobs/{job}", X_Clip2Protect="1")
    live.until(job, "done", "cancelled")
    assert live.ask("GET", f"/v1/jobs/{job}/result").status in (409, 410)
    assert not live.ask("POST", "/v1/jobs", b"deaf 0.5", **PNG).json["cached"]


def test_a_connection_in_use_is_left_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.6)
    with running(tmp_path) as live:
        connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)
        for _ in range(30):
            connection.request("GET", "/v1/health")
            assert connection.getresponse().read()
            time.sleep(0.05)
        connection.close()


def test_who_asks_much_and_reads_nothing_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1.0)
    with running(tmp_path) as live:
        sockets = [socket.socket() for _ in range(10)]
        for connection in sockets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", live.port))
            connection.sendall(head(live, "GET", "/page.js") * 100)
        wait_for(lambda: len(live.server.connections._open) >= 10)
        wait_for(lambda: not live.server.connections._open)
        for connection in sockets:
            connection.close()


def test_nothing_is_begun_while_it_stops(live: Live) -> None:
    live.server.service.stopping = True
    assert live.ask("POST", "/v1/jobs", b"echo", **PNG).code == "stopping"
    assert live.ask("POST", "/v1/owner", b"echo", **PNG).code == "stopping"


def test_a_second_server_in_one_folder_is_refused(live: Live) -> None:
    with pytest.raises(ConfigError, match="another server"), running(live.server.service.options.folder):
        pass


def test_a_worker_that_dies_between_jobs_is_replaced(live: Live) -> None:
    for number in range(3):
        os.kill(wait_for(lambda: live.server.service.crew.pids[0]), signal.SIGKILL)
        assert live.until(live.send(b"echo %d" % number), "done")
        assert live.server.service.crew.restarts == number + 1


def test_one_worker_goes_on_while_the_other_dies(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as live:
        long = live.send(b"slow 1")
        live.until(long, "running")
        for _ in range(3):
            assert live.until(live.send(b"die"), "failed")["error"]["code"] == "worker_failed"
        assert live.until(long, "done")


def test_stopping_amid_a_cancelling_ends(tmp_path: Path) -> None:
    """The moment in which the worker is told matters: all of them are tried."""
    for number in range(10):
        with running(tmp_path) as live:
            job = live.send(b"hang")
            live.until(job, "running")
            live.ask("DELETE", f"/v1/jobs/{job}", X_Clip2Protect="1")
            time.sleep(number / 5000)


@pytest.mark.parametrize(
    ("argument", "words"), [("--unusable", "no networks"), ("--stillborn", "dies at its start")]
)
def test_photos_do_not_wait_for_a_worker_that_never_comes(tmp_path: Path, argument: str, words: str) -> None:
    with running(tmp_path, argument) as live:
        error = live.until(live.send(b"echo"), "failed")["error"]
        assert error["code"] == "models_missing" and words in error["detail"]
        assert live.ask("GET", "/v1/health", token=None).status == 200


def test_stopping_ends_and_reports_what_runs(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        jobs = [live.send(b"slow 60 %d" % n) for n in range(3)]
        live.until(jobs[0], "running")
        service, worker = live.server.service, live.server.service.crew.pids[0]
        lost = asyncio.run_coroutine_threadsafe(live.server.stop(), live.loop).result(30)
        assert lost == 3
        assert {(job.state, job.code) for job in service.jobs} == {("failed", "stopping")}
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


# --- the real worker
# -----------------------------------------------------------------------------------------


#: Moments at which a worker may die: as it loads, with nothing to do, and at work; `search` is the longest.
OTHERS = ("starting", "ready", "", "invert")


@pytest.fixture(scope="module")
def portrait() -> bytes:
    """A photo with a face, JPEG."""
    from io import BytesIO

    from PIL import Image
    from skimage import data

    buffer = BytesIO()
    Image.fromarray(data.astronaut()).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with the real worker, whose networks take seconds to load: for all that follows."""
    with running(tmp_path_factory.mktemp("real"), real=True, cache=False) as live:
        yield live


@pytest.mark.models
def test_cancelling_takes_effect_at_the_next_step(
    real: Live, portrait: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "GRACE", 120.0)  # on a busy machine a step may take longer than the usual one
    restarts = real.server.service.crew.restarts
    job = real.send(portrait, "?steps=200")
    wait_for(lambda: real.job(job)["stage"] == "search")
    record = next(j for j in real.server.service.jobs if j.id == job)
    real.ask("DELETE", f"/v1/jobs/{job}", X_Clip2Protect="1")
    before = record.number
    real.until(job, "cancelled")
    assert record.number - before <= 3  # at most the step under way, the next, and the end
    assert real.until(real.send(portrait, "?steps=1&prompt=none"), "done")
    assert real.server.service.crew.restarts == restarts


@pytest.mark.models
@pytest.mark.parametrize("stage", ["search", *(pytest.param(s, marks=pytest.mark.slow) for s in OTHERS)])
def test_the_real_worker_killed_in_a_stage(real: Live, portrait: bytes, stage: str) -> None:
    """What it has fails, and what waits is done by the next worker."""
    service, job = real.server.service, ""
    wait_for(lambda: service.crew.states == ["ready"])
    if stage == "starting":
        kill(real)
        wait_for(lambda: service.crew.states == ["starting"])
    elif stage != "ready":
        job = real.send(portrait, "?steps=40")
        record = next(j for j in service.jobs if j.id == job)
        stages = (stage,) if stage else ("", "invert")  # the time before the first stage is short
        # A photo that the worker has not begun would be done by the next one.
        wait_for(lambda: record.begun and stage_of(real, job) in stages)
    deaths = service.crew.restarts
    other = real.send(portrait, "?steps=1&prompt=none") if stage != "ready" else ""
    kill(real)
    other = other or real.send(portrait, "?steps=1&prompt=none")
    if job:
        assert real.until(job, "failed")["error"]["code"] == "worker_failed"
    assert real.until(other, "done")["report"]["faces"]
    assert service.crew.restarts == deaths + 1


def stage_of(live: Live, job: str) -> str:
    status = live.job(job)
    assert status["state"] in ("queued", "running"), status
    return status["stage"]


def kill(live: Live) -> None:
    os.kill(wait_for(lambda: live.server.service.crew.pids[0]), signal.SIGKILL)
