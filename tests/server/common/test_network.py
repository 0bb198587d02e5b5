"""Addresses of this machine."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

import pytest

from server.common.network import is_literal, links_of
from tests.support.live import running


@pytest.mark.parametrize("name", ["127.0.0.1", "192.168.1.5", "[::1]", "[fe80::1]"])
def test_an_address_is_no_name(name: str) -> None:
    assert is_literal(name)


@pytest.mark.parametrize(
    "name",
    ["localhost", "evil.com", "1.2.3.4.evil.com", "::1", "[1.2.3.4]", "", "[", "127.1", "0x7f000001", "1"],
)
def test_a_name_is_no_address(name: str) -> None:
    assert not is_literal(name)


def test_one_address_has_one_link() -> None:
    assert links_of("127.0.0.1", 9000) == ["http://127.0.0.1:9000"]
    assert links_of("::1", 9000) == ["http://[::1]:9000"]


def test_each_link_of_all_addresses_leads_to_the_server(tmp_path: Path) -> None:
    with running(tmp_path, host="0.0.0.0") as live:
        links = links_of("0.0.0.0", live.port)
        assert links[0] == f"http://127.0.0.1:{live.port}" and len(set(links)) == len(links)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            assert f"http://{probe.getsockname()[0]}:{live.port}" in links
        for link in links:
            with urllib.request.urlopen(f"{link}/v1/health", timeout=60) as answer:
                assert answer.status == 200
