"""`clip2protect serve`: the local server; `clip2protect config show`: its options."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import logging
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from engines.errors import ConfigError
from server.cli.console import say, table
from server.cli.options import add_device

if TYPE_CHECKING:
    from server.service.options import Options


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the commands."""
    parser = commands.add_parser(
        "serve",
        parents=[common],
        help="run the local server, with a page of its own",
        description="Protects photos for a browser on this machine, its extension and other programs.  A"
        " code that is printed here pairs them.  Photos stay in memory.  Ctrl-C stops the server.",
    )
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--allow-network", action="store_true", help="let --host be an address that other machines can reach"
    )
    parser.add_argument(
        "--name",
        action="append",
        dest="names",
        metavar="NAME",
        help="a name by which browsers ask for it, beside this machine's own; may be given several times",
    )
    parser.add_argument("--port", type=int, metavar="N", help="port, 0 for any that is free (default: 8765)")
    parser.add_argument(
        "--workers", type=int, metavar="N", help="photos at a time, each with its own networks (default: 1)"
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="do the same photo again when it is asked for again"
    )
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    add_device(parser)
    parser.set_defaults(run=run, device=None)
    shown = commands.add_parser("config", help="show the server's options and where they come from")
    actions = shown.add_subparsers(metavar="ACTION", required=True)
    actions.add_parser("show", parents=[common], help="every option, its value and its source").set_defaults(
        run=show
    )


def show(args: argparse.Namespace) -> int:
    """Print the options."""
    from server.service.options import file_of_options, resolve_options

    rows = [(name, str(v.value), v.source) for name, v in resolve_options({}).items()]
    say(table([("option", "value", "from"), *rows]))
    say(f"file: {file_of_options()}")
    return 0


def run(args: argparse.Namespace) -> int:
    """Serve until a signal says stop."""
    from server.service.options import options_of, resolve_options

    flags = {name: getattr(args, name) for name in ("host", "port", "workers", "device")}
    flags["names"] = tuple(args.names) if args.names else None
    options = options_of(resolve_options(flags | ({"cache": False} if args.no_cache else {})))
    _check_address(options.host, allowed=args.allow_network)
    from server.common.log import configure

    configure(getattr(logging, args.log_level.upper()))
    return asyncio.run(_serve(options))


def _check_address(host: str, *, allowed: bool) -> None:
    """Other machines get no answer unless their owner says so twice."""
    try:
        loopback = _is_loopback(host)
    except ValueError:
        raise ConfigError(f"{host!r} is no address: give one such as 127.0.0.1") from None
    if not loopback and not allowed:
        raise ConfigError(f"{host} can be reached by other machines: add --allow-network if that is meant")


def _where(urls: list[str], options: Options, port: int) -> Iterator[str]:
    """What a person has to know about the addresses of a server."""
    from server.service.options import Options as Defaults

    yield f"clip2protect is at {urls[0]}"
    if port != Defaults.port:
        yield f"  give the extension this address in its settings: {urls[0]}"
    if not _is_loopback(options.host):
        yield from (f"  other machines reach it at {url}" for url in urls if "//127." not in url)
        yield from (f"  and by the name {name}" for name in options.names)
        yield "  warning: this is plain HTTP: whoever is in between can read photos, codes and tokens"


def _is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


async def _serve(options: Options) -> int:
    from server.service.run import Server

    server = await Server.start(options)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def show(code: str) -> None:
        """Each code is good for one client, and soon too old: the next is shown when it is needed."""
        say(f"pairing code: {code}  ({server.url}/#pair={code} pairs the browser that opens it)")
        sys.stdout.flush()

    for line in _where(server.urls, options, server.service.options.port):
        say(line)
    server.service.pairing.show = show
    show(server.code)
    await stop.wait()
    lost = await server.stop()
    say(f"stopped; {lost} photos were not finished" if lost else "stopped")
    return 0
