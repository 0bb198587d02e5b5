"""The owner's photos: enrolled, listed, forgotten, and given to the worker for `faces=mine`."""

from __future__ import annotations

import stat
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from server.common.enrolled import MOST
from tests.support.live import QUICK, Live, running
from tests.support.prover import Prover

PNG = {"Content_Type": "image/png"}
OWN = {"X_Clip2Protect": "1"}


def test_the_owner_is_enrolled_listed_and_forgotten(live: Live) -> None:
    assert live.ask("GET", "/v1/owner").json == {"photos": []}
    first, second = (live.ask("POST", "/v1/owner", photo, **PNG) for photo in (b"1", b"22"))
    assert first.status == 201
    listed = [photo["id"] for photo in live.ask("GET", "/v1/owner").json["photos"]]
    assert listed == [first.json["id"], second.json["id"]]
    assert (
        live.ask("POST", "/v1/protect?faces=mine", b"owner", **PNG).body
        == b'[{"scripted": [1]}, {"scripted": [2]}]'
    )
    page = Prover(live, live.server.url)
    assert page.ask("DELETE", f"/v1/owner/{first.json['id']}", **OWN).status == 204
    assert page.ask("DELETE", f"/v1/owner/{first.json['id']}", **OWN).code == "not_found"
    # Not from memory: it is another owner now.
    assert live.ask("POST", "/v1/protect?faces=mine", b"owner", **PNG).body == b'[{"scripted": [2]}]'
    assert live.ask("POST", "/v1/protect?faces=all", b"owner", **PNG).body == b"[]"


def test_it_is_told_when_nobody_is_enrolled_or_no_face_is_there(live: Live) -> None:
    assert live.ask("POST", "/v1/jobs?faces=mine", b"echo", **PNG).code == "nobody_enrolled"
    answer = live.ask("POST", "/v1/owner", b"no face", **PNG)
    assert (answer.status, answer.code) == (422, "no_face")
    assert live.ask("GET", "/v1/owner").json == {"photos": []}


def test_faces_are_found_and_told_apart_as_soon_as_somebody_is_enrolled(live: Live) -> None:
    def mine() -> list[bool | None]:
        answer = live.ask("POST", "/v1/faces", b"faces 3", **PNG)
        assert answer.status == 200
        return [face["mine"] for face in answer.json["faces"]]

    assert mine() == [None, None, None]
    live.ask("POST", "/v1/owner", b"1", **PNG)
    assert mine() == [True, False, False]
    assert live.ask("POST", "/v1/faces", b"faces 0", **PNG).json == {"faces": []}


def test_what_is_enrolled_is_private_bounded_and_outlives_the_server(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        codes = [live.ask("POST", "/v1/owner", b"%d" % n, **PNG).status for n in range(MOST + 1)]
        assert codes == [201] * MOST + [409]
    assert stat.S_IMODE((tmp_path / "owner.json").stat().st_mode) == 0o600
    with running(tmp_path) as live:
        assert len(live.ask("GET", "/v1/owner").json["photos"]) == MOST


@pytest.mark.models
def test_the_real_worker_protects_the_owner_alone(tmp_path: Path, two_faces: tuple[bytes, bytes]) -> None:
    me, both = two_faces
    with running(tmp_path, command=QUICK) as live:
        assert live.ask("POST", "/v1/owner", me, **PNG).status == 201
        found = live.ask("POST", "/v1/faces", both, **PNG).json["faces"]
        told = {face["mine"]: (face["box"][0] + face["box"][2]) / 2 for face in found}
        assert told[True] < 512 < told[False], "the person is on the left, the stranger on the right"
        blank = BytesIO()
        Image.new("RGB", (64, 64)).save(blank, "PNG")
        assert live.ask("POST", "/v1/faces", blank.getvalue(), **PNG).json == {"faces": []}
        job = live.send(both, "?faces=mine&steps=1&prompt=none")
        assert len(live.until(job, "done", seconds=120)["report"]["faces"]) == 1
        job = live.send(both, "?faces=all&steps=1&prompt=none")
        assert len(live.until(job, "done", seconds=120)["report"]["faces"]) == 2


def test_a_damaged_list_is_told_and_everything_else_goes_on(tmp_path: Path) -> None:
    with running(tmp_path) as live:
        (tmp_path / "owner.json").write_text("{", "utf-8")
        (tmp_path / "owner.json").chmod(0o600)
        for method, path in (
            ("GET", "/v1/owner"),
            ("POST", "/v1/owner"),
            ("POST", "/v1/faces"),
            ("POST", "/v1/jobs?faces=mine"),
        ):
            answer = live.ask(method, path, b"1" if method == "POST" else None, **PNG)
            assert (answer.status, answer.code) == (409, "owner_unusable")
        page = Prover(live, live.server.url)
        assert page.ask("DELETE", "/v1/owner/1", **OWN).code == "owner_unusable"
        live.until(live.send(b"echo"), "done")
