"""The costs of the server over a direct call, and its behaviour under load.

    python benchmarks/measure_server.py [PHOTO] [--runs 5] [--device auto] [--json FILE]

Without a photo it protects the sample of `clip2protect demo`.  One run measures:

- start: seconds until the server prints its address, and until it has loaded the networks;
- overhead: one photo with the default settings, through the server and by a direct call in turns (medians),
  and the time of an answer over the worker's own count;
- load: 10 clients send 10 photos each, one search step a photo; their order, and the memory after every
  tenth;
- pauses: the longest time without an answer of the event loop, during that load and while photos of 48
  megapixels and of `upload_mb` come in and go out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from PIL import Image
from skimage import data

from server.service.options import Options
from server.service.run import Server

CLIENTS, PHOTOS = 10, 10
#: Seconds between two looks at whether the event loop answers.
_TICK = 0.005


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="also write the figures")
    parser.add_argument("--serve", help=argparse.SUPPRESS)  # the folder of the server that is measured
    args = parser.parse_args()
    if args.serve:
        asyncio.run(_serve(Path(args.serve), args.device))
        return 0
    photo = args.photo.read_bytes() if args.photo else _jpeg(Image.fromarray(data.astronaut()))
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        command = [sys.executable, __file__, "--serve", folder, "--device", args.device]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None  # noqa: S101
            url, *tokens = process.stdout.readline().split()
            figures = {"start": {"address": time.perf_counter() - begun}}
            figures |= asyncio.run(_measure(url, tokens, photo, args, process.pid, begun))
            out, _ = process.communicate("", timeout=60)
            figures["pauses"] = {"longest_ms": float(out) * 1000}
        finally:
            process.kill()
    for name, values in figures.items():
        print(f"{name:<10}", ", ".join(f"{k} {_shown(v)}" for k, v in values.items()))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2), "utf-8")
    return 0


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


async def _serve(folder: Path, device: str) -> None:
    """The server, in a process of its own, until its input ends; then the longest pause."""
    # Of results no more is kept than a tenth of the load's: what grows after that is a leak.
    options = Options(port=0, device=device, cache=False, keep_mb=4, folder=folder)
    server = await Server.start(options)
    tokens = [server.service.clients.add_program(str(number))[0] for number in range(CLIENTS)]
    print(server.url, *tokens, flush=True)
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(_TICK)
            longest = max(longest, time.perf_counter() - begun - _TICK)

    ticking = asyncio.create_task(tick())
    await asyncio.to_thread(sys.stdin.read)
    ticking.cancel()
    await server.stop()
    print(longest)


async def _measure(
    url: str, tokens: list[str], photo: bytes, args: argparse.Namespace, pid: int, begun: float
) -> dict[str, dict[str, Any]]:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(url, timeout=timeout) as session:
        token = tokens[0]
        while "ready" not in (await _json(session, "GET", "/v1/status", token))["workers"]:
            await asyncio.sleep(0.05)
        ready = time.perf_counter() - begun
        overhead = await _overhead(session, token, photo, args)
        load = await _load(session, tokens, pid)
        await _large(session, token)
        return {"ready": {"seconds": ready}, "overhead": overhead, "load": load}


async def _overhead(
    session: aiohttp.ClientSession, token: str, photo: bytes, args: argparse.Namespace
) -> dict[str, Any]:
    """Direct calls and answers of the server in turns."""
    direct = await asyncio.to_thread(_direct, args.device)
    alone, served, over = [], [], []
    for run in range(args.runs + 1):
        begun = time.perf_counter()
        await asyncio.to_thread(direct, photo)
        alone.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        async with session.post("/v1/protect", data=photo, headers=_headers(token)) as answer:
            await answer.read()
            job = answer.headers["X-Job"]
        served.append(time.perf_counter() - begun)
        counted = (await _json(session, "GET", f"/v1/jobs/{job}", token))["report"]["seconds"]
        over.append(served[-1] / counted - 1)
        if run == 0:  # the first of each has more to do
            alone, served, over = [], [], []
    pair = statistics.median(alone), statistics.median(served)
    return {
        "direct_s": pair[0],
        "server_s": pair[1],
        "percent": 100 * (pair[1] / pair[0] - 1),
        "over_the_workers_own_count_percent": 100 * statistics.median(over),
        "runs": args.runs,
    }


def _direct(device: str) -> Callable[[bytes], object]:
    from engines.config import Settings
    from engines.load import embedded_stack
    from engines.photo.decode import decode
    from engines.pipeline import protect
    from engines.runtime import tune_allocator

    tune_allocator()
    stack = embedded_stack(device)
    return lambda photo: protect(decode(photo), stack, Settings())


async def _load(session: aiohttp.ClientSession, tokens: list[str], pid: int) -> dict[str, Any]:
    """Ten clients with ten photos each; what the server and its worker hold after every tenth."""
    small = [_jpeg(Image.fromarray(data.astronaut()).rotate(n / 10)) for n in range(PHOTOS)]
    ended: list[tuple[int, int]] = []
    held: list[tuple[int, int]] = []

    async def client(number: int) -> None:
        for photo in [asyncio.create_task(send(number, n)) for n in range(PHOTOS)]:
            await photo

    async def send(number: int, n: int) -> None:
        await asyncio.sleep(n / 20)  # in this order
        async with session.post(
            "/v1/protect",
            params={"steps": 1, "prompt": "none"},
            data=small[n],
            headers=_headers(tokens[number]),
        ) as answer:
            await answer.read()
            assert answer.status == 200, answer.status  # noqa: S101
        ended.append((number, n))
        if len(ended) % 10 == 0:
            held.append((_resident(pid), sum(map(_resident, _children(pid)))))

    begun = time.perf_counter()
    await asyncio.gather(*(client(n) for n in range(CLIENTS)))
    orders = [[n for c, n in ended if c == number] for number in range(CLIENTS)]
    return {
        "seconds": time.perf_counter() - begun,
        "jobs": len(ended),
        "in_order": orders == [[*range(PHOTOS)]] * CLIENTS,
        "server_mib": [server for server, _ in held],
        "worker_mib": [worker for _, worker in held],
    }


async def _large(session: aiohttp.ClientSession, token: str) -> None:
    """48 megapixels with a face, and as many bytes as may be sent at all."""
    photo = Image.fromarray(data.astronaut()).resize((6928, 6928))
    for body in (_jpeg(photo), bytes(Options.upload_mb << 20)):
        async with session.post(
            "/v1/protect", params={"steps": 1, "prompt": "none"}, data=body, headers=_headers(token)
        ) as answer:
            await answer.read()


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "image/jpeg"}


async def _json(session: aiohttp.ClientSession, method: str, path: str, token: str) -> Any:
    async with session.request(method, path, headers=_headers(token)) as answer:
        return await answer.json()


def _jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def _resident(pid: int) -> int:
    """MiB that a process holds (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


if __name__ == "__main__":
    sys.exit(main())
