"""The paper's checkpoints -> networks.

Published names of tensors are mapped to ours.  No tensor is left over and none is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from engines.errors import FormatError, ModelError
from engines.models.convert import StateDict
from engines.models.reference import checkpoint_file, refuse_pickle
from engines.networks.mobilefacenet import MobileFaceNet
from engines.networks.reference.arcface_ir import ArcFaceIR
from engines.networks.reference.e4e import E4ENetwork
from engines.networks.reference.facenet import InceptionResnetV1
from engines.networks.reference.stylegan2 import FIR, StyleGAN2


def load_checkpoint(name: str, folder: Path) -> nn.Module:
    """A reference network with the weights of its file in a folder, on the CPU.

    Raises ModelError where the file is missing, FormatError where it holds another network.
    """
    path = checkpoint_file(name, folder)
    try:
        return fill(name, read_checkpoint(path))
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def fill(name: str, checkpoint: Mapping[str, Any]) -> nn.Module:
    """A reference network with the weights of its checkpoint.

    Raises FormatError for a tensor that is missing, left over or of another shape.
    """
    build, converter = _NETWORKS[name]
    with torch.device("meta"):  # spares drawing hundreds of millions of weights that are replaced at once
        network = build()
    ours = network.state_dict()
    counts = {
        key: torch.zeros(t.shape, dtype=t.dtype) for key, t in ours.items() if re.fullmatch(_COUNTS, key)
    }
    network.load_state_dict(counts | converter(checkpoint, ours), strict=True, assign=True)
    return network


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a file of torch.save or of safetensors: tensors, and plain values around them.

    Nothing that could run code is unpickled.  Raises FormatError for any other file, ModelError for a file
    that cannot be read.
    """
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise FormatError(f"{path} is no safetensors file, or damaged: get it again") from error
    except Exception as error:  # torch raises a different one for every kind of foreign file
        raise (
            refuse_pickle(path)
            if "weights_only" in str(error).lower()
            else FormatError(
                f"{path} is no file of torch.save, or damaged ({type(error).__name__}): get it again"
            )
        ) from error
    if not isinstance(content, Mapping):
        raise FormatError(
            f"{path} holds a {type(content).__name__} instead of named tensors: give a state dict"
        )
    return dict(content)


class PublishedTensors:
    """Tensors of a checkpoint by their published names.  Each is taken once."""

    def __init__(self, tensors: Mapping[str, Any], ignored: str) -> None:
        """`ignored` is a pattern of names for which none of our networks has a use."""
        self._left = {name: value for name, value in tensors.items() if not re.fullmatch(ignored, name)}

    def take(self, name: str, shape: torch.Size | tuple[int, ...]) -> Tensor:
        """A tensor in this shape.  The published shape may differ by dimensions of 1."""
        if name not in self._left:
            raise FormatError(f"{name} is missing")
        tensor = self._left.pop(name)
        if not isinstance(tensor, Tensor):
            raise FormatError(f"{name} is no tensor but a {type(tensor).__name__}")
        if [n for n in tensor.shape if n != 1] != [n for n in shape if n != 1]:
            raise FormatError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(shape)}")
        return tensor.reshape(shape).float().contiguous()

    def refuse_left_over(self) -> None:
        """Raises FormatError for the first tensor that nothing took."""
        for name in self._left:
            more = f", as do {len(self._left) - 1} more" if len(self._left) > 1 else ""
            raise FormatError(f"{name} belongs to nothing{more}")


#: Counters of batch norms, which only training uses.
_COUNTS = r".*num_batches_tracked"


def _renamed(published: PublishedTensors, names: Mapping[str, str], ours: StateDict) -> StateDict:
    """Tensors by our names, from the published name for each.  Raises FormatError if one is left over."""
    state = {key: published.take(name, ours[key].shape) for key, name in names.items()}
    published.refuse_left_over()
    return state


def _as_named(tensors: Mapping[str, Any], ours: StateDict, ignored: str = _COUNTS) -> StateDict:
    """The state dict of a network whose modules have the published names."""
    return _renamed(
        PublishedTensors(tensors, ignored), {key: key for key in ours if not re.fullmatch(_COUNTS, key)}, ours
    )


def _facenet(tensors: Mapping[str, Any], ours: StateDict) -> StateDict:
    return _as_named(tensors, ours, rf"{_COUNTS}|logits\..*")  # the classifier of its training


# --- StyleGAN2 -----------------------------------------------------------------------------------


_CONVS, _HEADS, _LAYERS = 17, 9, 8
#: Our names of a convolution's tensors -> the published ones.
_ROSINALITY = {
    "weight": "conv.weight",
    "bias": "activate.bias",
    "strength": "noise.weight",
    "modulation.weight": "conv.modulation.weight",
    "modulation.bias": "conv.modulation.bias",
}
_NVIDIA = {
    "weight": "weight",
    "bias": "bias",
    "strength": "noise_strength",
    "modulation.weight": "affine.weight",
    "modulation.bias": "affine.bias",
}


def rosinality_names() -> dict[str, str]:
    """Our names of StyleGAN2's tensors -> those of rosinality/stylegan2-pytorch (`g_ema`, `latent_avg`)."""
    names = {"mean_latent": "latent_avg", "synthesis.constant": "input.input"}
    for i in range(_LAYERS):
        names |= {f"mapping.layers.{i}.{part}": f"style.{i + 1}.{part}" for part in ("weight", "bias")}
    for i in range(_CONVS):
        conv = f"convs.{i - 1}" if i else "conv1"
        names |= {f"synthesis.convs.{i}.{ours}": f"{conv}.{theirs}" for ours, theirs in _ROSINALITY.items()}
        names[f"synthesis.noise_{i}"] = f"noises.noise_{i}"
    for i in range(_HEADS):
        head = f"to_rgbs.{i - 1}" if i else "to_rgb1"
        names[f"synthesis.heads.{i}.bias"] = f"{head}.bias"
        for part in ("weight", "modulation.weight", "modulation.bias"):
            names[f"synthesis.heads.{i}.{part}"] = f"{head}.conv.{part}"
    return names


def nvidia_names() -> dict[str, str]:
    """Our names of StyleGAN2's tensors -> those of NVlabs/stylegan2-ada-pytorch."""
    names = {"mean_latent": "mapping.w_avg", "synthesis.constant": "synthesis.b4.const"}
    for i in range(_LAYERS):
        names |= {f"mapping.layers.{i}.{part}": f"mapping.fc{i}.{part}" for part in ("weight", "bias")}
    for i in range(_CONVS):
        conv = (
            f"synthesis.b{4 << (i + 1) // 2}.conv{(i + 1) % 2}"  # the first of a block doubles the resolution
        )
        names |= {f"synthesis.convs.{i}.{ours}": f"{conv}.{theirs}" for ours, theirs in _NVIDIA.items()}
        names[f"synthesis.noise_{i}"] = f"{conv}.noise_const"
    for i in range(_HEADS):
        head = f"synthesis.b{4 << i}.torgb"
        for ours, theirs in _NVIDIA.items():
            if ours != "strength":
                names[f"synthesis.heads.{i}.{ours}"] = f"{head}.{theirs}"
    return names


#: Names of the filter, a constant of the network, in either layout.
_FIR_NAMES = r".*\.(blur|upsample)\.kernel|.*resample_filter"


def _stylegan2(checkpoint: Mapping[str, Any], ours: StateDict) -> StateDict:
    tensors = dict(checkpoint)
    for key in ("g_ema", "G_ema"):  # other entries are the state of a training run
        if isinstance(checkpoint.get(key), Mapping):
            tensors = {**checkpoint[key], **{k: v for k, v in checkpoint.items() if k == "latent_avg"}}
    _check_filters(tensors)
    names = nvidia_names() if "synthesis.b4.const" in tensors else rosinality_names()
    drawn = {}
    # Older conversions hold no noise maps.
    if not any(name.startswith("noises.") for name in tensors) and "latent_avg" in tensors:
        chance = torch.Generator().manual_seed(0)
        maps = [key for key, name in names.items() if name.startswith("noises.")]
        drawn = {key: torch.randn(ours[key].shape, generator=chance) for key in maps}
    names = {key: name for key, name in names.items() if key not in drawn}
    return drawn | _renamed(PublishedTensors(tensors, _FIR_NAMES), names, ours)


def _check_filters(tensors: Mapping[str, Any]) -> None:
    taps = torch.tensor(FIR)
    for name, kernel in tensors.items():
        if re.fullmatch(_FIR_NAMES, name) and not torch.allclose(kernel / kernel.sum(), taps[:, None] * taps):
            raise FormatError(f"{name} is another filter than [1, 3, 3, 1]: give StyleGAN2's configuration F")


# --- e4e -----------------------------------------------------------------------------------------


def _e4e(checkpoint: Mapping[str, Any], ours: StateDict) -> StateDict:
    if not isinstance(checkpoint.get("state_dict"), Mapping) or "latent_avg" not in checkpoint:
        raise FormatError(
            "state_dict or latent_avg is missing: give the checkpoint of e4e as it is published"
        )
    tensors = {**checkpoint["state_dict"], "latent_avg": checkpoint["latent_avg"]}
    names = {
        key: key if key == "latent_avg" else f"encoder.{key}"
        for key in ours
        if not re.fullmatch(_COUNTS, key)
    }
    # Its decoder is the generator, which has a file of its own.
    return _renamed(PublishedTensors(tensors, rf"{_COUNTS}|decoder\..*"), names, ours)


# --- MobileFaceNet -------------------------------------------------------------------------------


def mobileface_names() -> list[tuple[str, str, str | None]]:
    """(convolution, its batch norm, its PReLU) of TreB1eN/InsightFace_Pytorch's MobileFaceNet, in order."""

    def block(name: str) -> list[tuple[str, str, str | None]]:
        return [unit(f"{name}.conv"), unit(f"{name}.conv_dw"), unit(f"{name}.project", active=False)]

    def unit(name: str, *, active: bool = True) -> tuple[str, str, str | None]:
        return f"{name}.conv", f"{name}.bn", f"{name}.prelu" if active else None

    blocks = [
        "conv_23",
        *(f"conv_3.model.{i}" for i in range(4)),
        "conv_34",
        *(f"conv_4.model.{i}" for i in range(6)),
    ]
    blocks += ["conv_45", *(f"conv_5.model.{i}" for i in range(2))]
    body = [layer for name in blocks for layer in block(name)]
    head = [unit("conv_6_sep"), unit("conv_6_dw", active=False), ("linear", "bn", None)]
    return [unit("conv1"), unit("conv2_dw"), *body, *head]


def _mobileface(tensors: Mapping[str, Any], ours: StateDict) -> StateDict:
    """Folds batch norms into the convolutions before them, because our network has none."""
    published, state = PublishedTensors(tensors, _COUNTS), {}
    keys = iter(ours)
    for conv, norm, prelu in mobileface_names():
        weight_key, bias_key = next(keys), next(keys)
        weight = published.take(f"{conv}.weight", ours[weight_key].shape)
        gain, shift, mean, variance = (
            published.take(f"{norm}.{part}", ours[bias_key].shape)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gain / (variance + 1e-5).sqrt()
        state[weight_key], state[bias_key] = weight * gain[:, None, None, None], shift - mean * gain
        if prelu is not None:
            key = next(keys)
            state[key] = published.take(f"{prelu}.weight", ours[key].shape)
    published.refuse_left_over()
    return state


_Converter = Callable[[Mapping[str, Any], StateDict], StateDict]
_NETWORKS: dict[str, tuple[Callable[[], nn.Module], _Converter]] = {
    "stylegan2": (StyleGAN2, _stylegan2),
    "e4e": (E4ENetwork, _e4e),
    "ir152": (lambda: ArcFaceIR(152, gated=False), _as_named),
    "irse50": (lambda: ArcFaceIR(50, gated=True), _as_named),
    "facenet": (InceptionResnetV1, _facenet),
    "mobileface": (lambda: MobileFaceNet(tensorflow=False), _mobileface),
}
#: The networks that `load_checkpoint` knows: all of the paper's but CLIP, which open_clip loads.
NAMES = tuple(_NETWORKS)
