"""Options of a server: flags go before the environment, before a TOML file, before the defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from engines.errors import ConfigError
from server.common.private import data_folder

#: Name of an environment variable: this, and the option in capitals.
PREFIX = "CLIP2PROTECT_SERVER_"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a server behaves.

    `names`: host names besides the loopback's that it answers to.  `workers`: photos at a time.
    `queue_length`, `queue_mb`: photos that may wait, and their MiB.  `upload_mb`: largest photo, MiB.
    `job_seconds`: longest time that a photo may take.  `keep_seconds`, `keep_mb`: how long results are kept,
    and how much of them.  `cache`: whether a result that is kept answers for the same photo and options.
    `memory_mb`: memory that a worker may take for data, on a CPU; 0 for three quarters of the machine's.
    `folder`: where the lists of clients and of the owner's photos are.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    names: tuple[str, ...] = ()
    device: str = "auto"
    workers: int = 1
    queue_length: int = 128
    queue_mb: int = 512
    upload_mb: int = 64
    job_seconds: float = 300.0
    keep_seconds: float = 900.0
    keep_mb: int = 256
    cache: bool = True
    memory_mb: int = 0
    folder: Path = field(default_factory=data_folder)


@dataclass(frozen=True)
class Value:
    """An option's value, and where it is from."""

    value: Any
    source: str


def file_of_options() -> Path:
    """The TOML file, which need not exist."""
    return Path(platformdirs.user_config_dir("clip2protect")) / "server.toml"


def resolve_options(flags: Mapping[str, Any]) -> dict[str, Value]:
    """Every option of `Options` with its source.

    Raises ConfigError for one that is unknown or cannot be used.
    """
    path = file_of_options()
    in_file = _read(path)
    kinds = {f.name: type(f.default) for f in fields(Options) if f.name != "folder"}
    unknown = sorted(set(in_file) - set(kinds))
    if unknown:
        raise ConfigError(f"{path}: unknown option {unknown[0]!r}: there are {', '.join(kinds)}")
    defaults, chosen = Options(), {}
    for name, kind in kinds.items():
        variable = PREFIX + name.upper()
        if flags.get(name) is not None:
            chosen[name] = Value(flags[name], "flag")
        elif variable in os.environ:
            chosen[name] = Value(_parse(os.environ[variable], kind, variable), variable)
        elif name in in_file:
            chosen[name] = Value(_check(in_file[name], kind, f"{path}: {name}"), str(path))
        else:
            chosen[name] = Value(getattr(defaults, name), "default")
    _validate({name: v.value for name, v in chosen.items()})
    return chosen


def options_of(chosen: Mapping[str, Value]) -> Options:
    """The options themselves."""
    return Options(**{name: v.value for name, v in chosen.items()})


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def _parse(text: str, kind: type, name: str) -> Any:
    if kind is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{name} must be true or false, not {text!r}")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{name} must be a number, not {text!r}") from None


def _check(value: Any, kind: type, name: str) -> Any:
    if kind is tuple and isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name} has a value that cannot be used: {value!r}")
    return value


def _validate(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        least = 0 if name in ("port", "memory_mb") else 1
        if type(value) in (int, float) and not least <= value < 1 << 31:
            raise ConfigError(f"{name} must be {least} or more, not {value}")
    if values["port"] > 65535:
        raise ConfigError(f"port must be at most 65535, not {values['port']}")
    if values["device"] not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"unknown device {values['device']!r}: choose one of auto, cpu, cuda")
