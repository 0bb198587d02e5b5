"""Jobs over real sockets: turns, order, progress, results that are kept and let go, cancelling."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import Live, running, wait_for

PNG = {"Content_Type": "image/png"}
OWN = {"X_Clip2Protect": "1"}


def events(live: Live, job: str, last: str | None = None) -> Iterator[dict[str, Any]]:
    """Events of a job's stream, each with its `id`."""
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)
    headers = {"Authorization": f"Bearer {live.token}"} | ({"Last-Event-ID": last} if last else {})
    connection.request("GET", f"/v1/jobs/{job}/events", headers=headers)
    fields: dict[str, str] = {}
    try:
        for line in iter(connection.getresponse().readline, b""):
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                yield {"number": fields["id"], "event": fields["event"]} | json.loads(fields["data"])
                fields = {}
    finally:
        connection.close()


def test_a_photo_goes_in_and_comes_out(live: Live) -> None:
    answer = live.ask("POST", "/v1/jobs?prompt=red-lips&level=subtle", b"echo 1", **PNG)
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    status = live.until(answer.json["id"], "done")
    assert (status["progress"], status["cached"], status["expired"]) == (1.0, False, False)
    result = live.ask("GET", f"/v1/jobs/{answer.json['id']}/result")
    assert (result.body, result.headers["Content-Type"]) == (b"echo 1", "image/png")
    assert live.ask("GET", f"/v1/jobs/{answer.json['id']}/preview").body == b"preview"
    assert live.ask("POST", "/v1/protect", b"echo 2", **PNG).body == b"echo 2"


def test_parts_and_body_mean_the_same(live: Live) -> None:
    parts = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % part
        for part in ((b"level", b"strong"), (b"photo", b"echo \r\n--c \x00 1"), (b"seed", b"3"))
    )
    answer = live.ask(
        "POST", "/v1/protect", parts + b"--b--\r\n", Content_Type="multipart/form-data; boundary=b", **OWN
    )
    assert (answer.status, answer.body) == (200, b"echo \r\n--c \x00 1")
    again = live.ask("POST", "/v1/jobs?level=strong&seed=3", b"echo \r\n--c \x00 1", **PNG)
    assert again.json["cached"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?level=loud", "subtle, balanced, strong"),
        ("?seed=x", "whole numbers"),
        ("?seed=1" + 60 * "0", "63 bits"),
        ("?target=3", "mode=impersonate"),
        ("?prompt=%F0%9F%92%84", "no words"),
        ("?steps=0", "1 or more"),
        ("?steps=100000", "at most"),
        ("?what=ever", "mode, level"),
        ("?prompt=" + 400 * "a", "fewer"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(live: Live, query: str, words: str) -> None:
    answer = live.ask("POST", f"/v1/jobs{query}", b"echo", **PNG)
    assert (answer.status, answer.code) == (400, "bad_option")
    assert words in answer.json["detail"] and "\n" not in answer.json["detail"]


def test_clients_take_turns_and_each_has_its_order(live: Live) -> None:
    tokens = [live.token, live.pair(), live.pair()]
    blocker = live.send(b"slow 1")
    live.until(blocker, "running")
    jobs = [[live.send(b"echo %d %d" % (c, n), token=t) for n in range(4)] for c, t in enumerate(tokens)]
    wait_for(lambda: all(job.over for job in live.server.service.jobs))
    order = [job.id for job in sorted(live.server.service.jobs, key=lambda job: job.ended)][1:]
    assert order == [jobs[client][number] for number in range(4) for client in range(3)]


def test_what_takes_a_moment_goes_before_photos_that_wait(live: Live) -> None:
    blocker = live.send(b"slow 0.7")
    live.until(blocker, "running")
    waiting = live.send(b"slow 2")
    found = live.ask("POST", "/v1/faces", b"faces 2", **PNG).json["faces"]
    assert len(found) == 2
    assert live.job(blocker)["state"] == "done" and live.job(waiting)["state"] != "done"


def test_a_hundred_jobs_of_ten_clients(tmp_path: Path) -> None:
    with running(tmp_path, workers=2, keep_mb=4) as live:
        tokens = [live.pair() for _ in range(10)]
        sent: dict[str, list[str]] = {}

        def work(token: str) -> None:
            sent[token] = [
                live.send(b"echo %d " % n + token.encode() + bytes(200_000), token=token) for n in range(10)
            ]

        threads = [threading.Thread(target=work, args=(token,)) for token in tokens]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        service = live.server.service
        wait_for(lambda: all(job.over for job in service.jobs), 60)
        by_id = {job.id: job for job in service.jobs}
        assert len(by_id) == 100 and all(job.state == "done" for job in by_id.values())
        # 100 results are 20 MB: no more of them is held than may be, and no photo.
        assert sum(job.result.size for job in by_id.values() if job.result) <= 4 << 20
        assert all(job.result for job in sorted(by_id.values(), key=lambda job: job.ended)[-5:])
        assert not any(job.photo.pieces for job in by_id.values())


def test_the_same_photo_is_answered_at_once(live: Live) -> None:
    first = live.until(live.send(b"slow 0.2"), "done")
    again = live.ask("POST", "/v1/jobs", b"slow 0.2", **PNG).json
    assert (again["state"], again["cached"], again["id"] == first["id"]) == ("done", True, False)
    assert live.ask("GET", f"/v1/jobs/{again['id']}/result").body == b"slow 0.2"
    assert not live.ask("POST", "/v1/jobs?seed=1", b"slow 0.2", **PNG).json["cached"]
    assert not live.ask("POST", "/v1/jobs", b"slow 2", **PNG).json["cached"]


def test_nothing_is_answered_from_memory_where_that_is_off(tmp_path: Path) -> None:
    with running(tmp_path, cache=False) as live:
        live.until(live.send(b"echo"), "done")
        assert not live.ask("POST", "/v1/jobs", b"echo", **PNG).json["cached"]


def test_results_expire(tmp_path: Path) -> None:
    with running(tmp_path, keep_seconds=1) as live:
        job = live.send(b"echo")
        live.until(job, "done")
        wait_for(lambda: live.job(job).get("expired"))
        answer = live.ask("GET", f"/v1/jobs/{job}/result")
        assert (answer.status, answer.code) == (410, "expired")
        assert not live.ask("POST", "/v1/jobs", b"echo", **PNG).json["cached"]
        wait_for(lambda: live.ask("GET", f"/v1/jobs/{job}").status == 404)


def test_a_job_belongs_to_its_client(live: Live) -> None:
    job, other = live.send(b"echo"), live.pair()
    live.until(job, "done")
    for method, path in (
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/result"),
        ("GET", "/preview"),
        ("DELETE", ""),
    ):
        assert live.ask(method, f"/v1/jobs/{job}{path}", token=other, **OWN).code == "not_found"


def test_who_is_revoked_leaves_nothing(live: Live) -> None:
    token = live.pair()
    done = live.send(b"echo", token=token)
    wait_for(lambda: all(job.over for job in live.server.service.jobs))
    running_, waiting = live.send(b"slow 60", token=token), live.send(b"slow 60 2", token=token)
    client = next(job.client for job in live.server.service.jobs)
    assert live.ask("DELETE", f"/v1/clients/{client}", token=token, **OWN).status == 204
    wait_for(lambda: all(job.over for job in live.server.service.jobs))
    assert {job.id for job in live.server.service.jobs} == {done, running_, waiting}
    assert not any(job.result for job in live.server.service.jobs)
    assert not live.ask("POST", "/v1/jobs", b"echo", **PNG).json["cached"]


@pytest.mark.parametrize("state", ["queued", "running", "done"])
def test_delete_ends_a_job_wherever_it_is(live: Live, state: str) -> None:
    if state == "queued":
        live.until(live.send(b"slow 1"), "running")
    job = live.send({"queued": b"echo", "running": b"slow 60", "done": b"echo"}[state])
    live.until(job, state)
    assert live.ask("DELETE", f"/v1/jobs/{job}", **OWN).status == 204
    if state == "done":
        assert live.ask("GET", f"/v1/jobs/{job}/result").code == "expired"
    else:
        assert live.until(job, "cancelled")["error"]["code"] == "cancelled"
        assert live.ask("GET", f"/v1/jobs/{job}/result").code == "cancelled"
    assert live.until(live.send(b"echo after"), "done")
    assert live.server.service.crew.restarts == 0


def test_progress_grows_and_ends_at_one(live: Live) -> None:
    seen = list(events(live, live.send(b"slow 0.5")))
    assert seen[0]["state"] in ("queued", "running") and seen[-1]["state"] == seen[-1]["event"] == "done"
    parts = [event["progress"] for event in seen]
    assert parts == sorted(parts) and parts[-1] == 1.0 and len(set(parts)) > 5
    assert seen[-2]["faces"] == [
        {"state": "working", "stage": "search", "progress": parts[-2], "similarity": 0.5}
    ]
    assert seen[-1]["faces"][0]["state"] == "done"


def test_a_stream_of_events_is_taken_up_where_it_broke_off(live: Live) -> None:
    job = live.send(b"slow 1")
    stream = events(live, job)
    first = [next(stream) for _ in range(5)]
    stream.close()
    rest = list(events(live, job, last=first[-1]["number"]))
    assert int(rest[0]["number"]) > int(first[-1]["number"]) and rest[-1]["state"] == "done"
    assert rest[0]["progress"] >= first[-1]["progress"]
    assert list(events(live, job, last=rest[-1]["number"])) == []  # nothing more to say
    assert [event["state"] for event in events(live, job, last="nonsense")] == ["done"]


def test_the_figures_count_what_was_done(live: Live) -> None:
    live.until(live.send(b"echo"), "done")
    live.until(live.send(b"no face"), "failed")
    live.ask("GET", "/v1/jobs/unknown")
    assert live.ask("GET", "/v1/metrics", token=None).code == "unpaired"
    text = live.ask("GET", "/v1/metrics").body.decode()
    for line in (
        'clip2protect_jobs_total{code="",state="done"} 1.0',
        'clip2protect_jobs_total{code="no_face",state="failed"} 1.0',
        'clip2protect_requests_total{route="/v1/jobs/{id}",status="404"} 1.0',
        "clip2protect_waiting_jobs 0.0",
        "clip2protect_clients 1.0",
        "clip2protect_worker_restarts 0.0",
    ):
        assert line in text.splitlines()
    assert "unknown" not in text
