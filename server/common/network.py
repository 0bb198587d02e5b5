"""The addresses of this machine, in the words of a browser."""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

#: What a server listens on that takes requests to every address of the machine.
EVERYWHERE = ("0.0.0.0", "::")
_SIOCGIFADDR = 0x8915


def is_literal(name: str) -> bool:
    """Whether a name in a link is an address itself, as `192.168.1.5` and `[fe80::1]` are."""
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return ipaddress.ip_address(bare).version == (4 if bare == name else 6)
    except ValueError:
        return False


def shown(address: str) -> str:
    """An address as it stands in a link."""
    return f"[{address}]" if ":" in address else address


def links_of(host: str, port: int) -> list[str]:
    """Links to a server that listens on this address: the loopback's first."""
    if host not in EVERYWHERE:
        return [f"http://{shown(host)}:{port}"]
    versions = (4,) if host == EVERYWHERE[0] else (4, 6)
    found = {a for a in _addresses() if ipaddress.ip_address(a).version in versions}
    others = sorted(a for a in found if not ipaddress.ip_address(a).is_loopback)
    return [f"http://{shown(address)}:{port}" for address in ("127.0.0.1", *others)]


def _addresses() -> Iterator[str]:
    """All that can be had: of each interface on Linux, of the machine's name, of its way out."""
    if sys.platform == "linux":
        yield from _of_interfaces()
    with suppress(OSError):
        for *_, address in socket.getaddrinfo(socket.gethostname(), None):
            yield str(address[0]).partition("%")[0]
    for family, outside in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((outside, 9))  # nothing is sent: the system only chooses a way
            yield str(probe.getsockname()[0]).partition("%")[0]


def _of_interfaces() -> Iterator[str]:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it has no such address
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                yield socket.inet_ntoa(answer[20:24])
    with suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text("ascii").splitlines():
            address = ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))
            if not address.is_link_local:  # a browser cannot open those
                yield str(address)
