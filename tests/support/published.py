"""The paper's checkpoints as their authors lay them out, with made-up weights, and what they compute.

Names, shapes and arithmetic are written out here a second time, by the published names, so that they can
be compared with the project's own networks.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Named = dict[str, Tensor]
#: Makes a tensor of a shape.
Draw = Callable[..., Tensor]


def drawer(seed: int = 0) -> Draw:
    """Draws weights of convolutions and linear layers that keep about the size of what passes through."""
    chance = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        return torch.randn(shape, generator=chance) * fan_in**-0.5

    return draw


def pooled(*shape: int) -> Tensor:
    """Weights as `drawer` makes them that take no room in a file: those of all outputs are the same."""
    if len(shape) == 1:
        return torch.randn(shape, generator=torch.Generator().manual_seed(shape[0]))
    row = torch.randn(shape[1:], generator=torch.Generator().manual_seed(len(shape)))
    return (row * float(np.prod(shape[1:])) ** -0.5).expand(shape)


# --- names and shapes ---------------------------------------------------------------------------------


def norm(name: str, channels: int, draw: Draw) -> Named:
    """A batch norm, with what it counted while it was trained."""
    return {
        f"{name}.weight": 1 + 0.1 * draw(channels),
        f"{name}.bias": 0.1 * draw(channels),
        f"{name}.running_mean": 0.1 * draw(channels),
        f"{name}.running_var": 1 + 0.1 * draw(channels).abs(),
        f"{name}.num_batches_tracked": torch.tensor(7),
    }


def stages(depth: int) -> list[tuple[int, int, int]]:
    """Channels in, channels out and stride of every block of IR-50 or IR-152."""
    middle = {50: (4, 14), 152: (8, 36)}[depth]
    blocks, inputs = [], 64
    for outputs, count in ((64, 3), (128, middle[0]), (256, middle[1]), (512, 3)):
        blocks += [(inputs, outputs, 2)] + [(outputs, outputs, 1)] * (count - 1)
        inputs = outputs
    return blocks


def ir_trunk(depth: int, gated: bool, draw: Draw) -> Named:
    named = {"input_layer.0.weight": draw(64, 3, 3, 3), **norm("input_layer.1", 64, draw)}
    named["input_layer.2.weight"] = torch.full((64,), 0.25)
    for i, (inputs, outputs, _) in enumerate(stages(depth)):
        block = f"body.{i}"
        if inputs != outputs:
            named[f"{block}.shortcut_layer.0.weight"] = draw(outputs, inputs, 1, 1)
            named |= norm(f"{block}.shortcut_layer.1", outputs, draw)
        named |= norm(f"{block}.res_layer.0", inputs, draw)
        named[f"{block}.res_layer.1.weight"] = draw(outputs, inputs, 3, 3)
        named[f"{block}.res_layer.2.weight"] = 0.25 + 0.1 * draw(outputs)
        named[f"{block}.res_layer.3.weight"] = draw(outputs, outputs, 3, 3)
        named |= norm(f"{block}.res_layer.4", outputs, draw)
        if gated:
            named[f"{block}.res_layer.5.fc1.weight"] = draw(outputs // 16, outputs, 1, 1)
            named[f"{block}.res_layer.5.fc2.weight"] = draw(outputs, outputs // 16, 1, 1)
    return named


def arcface(depth: int, gated: bool, draw: Draw) -> Named:
    named = ir_trunk(depth, gated, draw) | norm("output_layer.0", 512, draw)
    named |= {"output_layer.3.weight": draw(512, 512 * 7 * 7), "output_layer.3.bias": draw(512)}
    return named | norm("output_layer.4", 512, draw)


def e4e(draw: Draw) -> dict[str, Any]:
    named = ir_trunk(50, True, draw)
    for row in range(18):
        for i in range(4 if row < 3 else 5 if row < 7 else 6):
            named[f"styles.{row}.convs.{2 * i}.weight"] = draw(512, 512, 3, 3)
            named[f"styles.{row}.convs.{2 * i}.bias"] = draw(512)
        named[f"styles.{row}.linear.weight"] = 512**0.5 * draw(512, 512)
        named[f"styles.{row}.linear.bias"] = draw(512)
    for level, channels in (("latlayer1", 256), ("latlayer2", 128)):
        named |= {f"{level}.weight": draw(512, channels, 1, 1), f"{level}.bias": draw(512)}
    state = {f"encoder.{name}": tensor for name, tensor in named.items()}
    decoder = {"decoder.input.input": draw(1, 512, 4, 4)}
    return {
        "state_dict": state | decoder,
        "latent_avg": draw(18, 512),
        "opts": {"stylegan_size": 1024, "device": "cuda"},
    }


#: Name, channels in, out and inside, and how many in a row (0: a single one, that halves the size).
MOBILE_BLOCKS = (
    ("conv_23", 64, 64, 128, 0), ("conv_3", 64, 64, 128, 4), ("conv_34", 64, 128, 256, 0),
    ("conv_4", 128, 128, 256, 6), ("conv_45", 128, 128, 512, 0), ("conv_5", 128, 128, 256, 2),
)  # fmt: skip


def mobileface(draw: Draw) -> Named:
    named: Named = {}

    def conv(name: str, outputs: int, inputs: int, size: int, active: bool = True) -> None:
        named[f"{name}.conv.weight"] = draw(outputs, inputs, size, size)
        named.update(norm(f"{name}.bn", outputs, draw))
        if active:
            named[f"{name}.prelu.weight"] = 0.25 + 0.1 * draw(outputs)

    def block(name: str, inputs: int, outputs: int, inside: int) -> None:
        conv(f"{name}.conv", inside, inputs, 1)
        conv(f"{name}.conv_dw", inside, 1, 3)
        conv(f"{name}.project", outputs, inside, 1, active=False)

    conv("conv1", 64, 3, 3)
    conv("conv2_dw", 64, 1, 3)
    for name, inputs, outputs, inside, count in MOBILE_BLOCKS:
        for i in range(max(count, 1)):
            block(f"{name}.model.{i}" if count else name, inputs, outputs, inside)
    conv("conv_6_sep", 512, 128, 1)
    conv("conv_6_dw", 512, 1, 7, active=False)
    return named | {"linear.weight": draw(512, 512)} | norm("bn", 512, draw)


def facenet(draw: Draw) -> Named:
    named: Named = {}

    def conv(name: str, outputs: int, inputs: int, height: int, width: int | None = None) -> None:
        named[f"{name}.conv.weight"] = draw(outputs, inputs, height, width or height)
        named.update(norm(f"{name}.bn", outputs, draw))

    def chain(name: str, *layers: tuple[int, ...]) -> None:
        for i, layer in enumerate(layers):
            conv(f"{name}.{i}", *layer)

    def mixed(name: str, channels: int, inside: int) -> None:
        named[f"{name}.conv2d.weight"], named[f"{name}.conv2d.bias"] = (
            draw(channels, inside, 1, 1),
            draw(channels),
        )

    stem = (
        ("1a", 32, 3, 3), ("2a", 32, 32, 3), ("2b", 64, 32, 3),
        ("3b", 80, 64, 1), ("4a", 192, 80, 3), ("4b", 256, 192, 3),
    )  # fmt: skip
    for name, *shape in stem:
        conv(f"conv2d_{name}", *shape)
    for block in (f"repeat_1.{i}" for i in range(5)):
        conv(f"{block}.branch0", 32, 256, 1)
        chain(f"{block}.branch1", (32, 256, 1), (32, 32, 3))
        chain(f"{block}.branch2", (32, 256, 1), (32, 32, 3), (32, 32, 3))
        mixed(block, 256, 96)
    conv("mixed_6a.branch0", 384, 256, 3)
    chain("mixed_6a.branch1", (192, 256, 1), (192, 192, 3), (256, 192, 3))
    for block in (f"repeat_2.{i}" for i in range(10)):
        conv(f"{block}.branch0", 128, 896, 1)
        chain(f"{block}.branch1", (128, 896, 1), (128, 128, 1, 7), (128, 128, 7, 1))
        mixed(block, 896, 256)
    chain("mixed_7a.branch0", (256, 896, 1), (384, 256, 3))
    chain("mixed_7a.branch1", (256, 896, 1), (256, 256, 3))
    chain("mixed_7a.branch2", (256, 896, 1), (256, 256, 3), (256, 256, 3))
    for block in (*(f"repeat_3.{i}" for i in range(5)), "block8"):
        conv(f"{block}.branch0", 192, 1792, 1)
        chain(f"{block}.branch1", (192, 1792, 1), (192, 192, 1, 3), (192, 192, 3, 1))
        mixed(block, 1792, 384)
    named["last_linear.weight"] = draw(512, 1792)
    return named | norm("last_bn", 512, draw) | {"logits.weight": draw(8631, 512), "logits.bias": draw(8631)}


CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64, 32)
FIR = torch.tensor([1.0, 3, 3, 1])[:, None] * torch.tensor([1.0, 3, 3, 1]) / 64


def rosinality(draw: Draw) -> dict[str, Any]:
    named: dict[str, Tensor] = {"input.input": draw(1, 512, 4, 4) * 90}

    def modulated(name: str, outputs: int, inputs: int, size: int) -> None:
        weight = draw(outputs, inputs, size, size) * (inputs * size**2) ** 0.5  # at unit variance
        named[f"{name}.conv.weight"] = weight[None]
        named[f"{name}.conv.modulation.weight"] = draw(inputs, 512) * 512**0.5
        named[f"{name}.conv.modulation.bias"] = 1 + 0.1 * draw(inputs)

    def conv(name: str, outputs: int, inputs: int, up: bool = False) -> None:
        modulated(name, outputs, inputs, 3)
        named[f"{name}.noise.weight"], named[f"{name}.activate.bias"] = (
            0.3 + 0.1 * draw(1),
            0.3 * draw(outputs),
        )
        if up:
            named[f"{name}.conv.blur.kernel"] = 4 * FIR

    def head(name: str, inputs: int, up: bool = True) -> None:
        modulated(name, 3, inputs, 1)
        named[f"{name}.bias"] = draw(3).view(1, 3, 1, 1)
        if up:
            named[f"{name}.upsample.kernel"] = 4 * FIR

    for i in range(1, 9):
        named |= {f"style.{i}.weight": 100 * 512**0.5 * draw(512, 512), f"style.{i}.bias": draw(512)}
    conv("conv1", 512, 512)
    head("to_rgb1", 512, up=False)
    for i, (inputs, outputs) in enumerate(pairwise(CHANNELS)):
        conv(f"convs.{2 * i}", outputs, inputs, up=True)
        conv(f"convs.{2 * i + 1}", outputs, outputs)
        head(f"to_rgbs.{i}", outputs)
    for i in range(17):
        side = 2 ** ((i + 5) // 2)
        named[f"noises.noise_{i}"] = draw(1, 1, side, side) * side
    return {"g_ema": named, "latent_avg": 0.1 * draw(512)}


def nvidia(checkpoint: dict[str, Any]) -> Named:
    """The generator of a `rosinality` checkpoint as NVIDIA's code names it."""
    theirs = checkpoint["g_ema"]
    named = {"mapping.w_avg": checkpoint["latent_avg"], "synthesis.b4.const": theirs["input.input"][0]}
    for i in range(8):
        named |= {f"mapping.fc{i}.{part}": theirs[f"style.{i + 1}.{part}"] for part in ("weight", "bias")}
    for level in range(9):
        block = f"synthesis.b{4 << level}"
        named[f"{block}.resample_filter"] = FIR
        convs = [("conv1", "conv1", 0)]
        if level:
            convs = [(f"conv{i}", f"convs.{2 * level - 2 + i}", 2 * level - 1 + i) for i in (0, 1)]
        for ours, source, number in convs:
            conv = f"{block}.{ours}"
            named[f"{conv}.weight"] = theirs[f"{source}.conv.weight"][0]
            named[f"{conv}.bias"] = theirs[f"{source}.activate.bias"]
            named[f"{conv}.noise_strength"] = theirs[f"{source}.noise.weight"][0]
            named[f"{conv}.noise_const"] = theirs[f"noises.noise_{number}"][0, 0]
            named[f"{conv}.resample_filter"] = FIR
            for part in ("weight", "bias"):
                named[f"{conv}.affine.{part}"] = theirs[f"{source}.conv.modulation.{part}"]
        head = f"to_rgbs.{level - 1}" if level else "to_rgb1"
        named[f"{block}.torgb.weight"] = theirs[f"{head}.conv.weight"][0]
        named[f"{block}.torgb.bias"] = theirs[f"{head}.bias"].flatten()
        for part in ("weight", "bias"):
            named[f"{block}.torgb.affine.{part}"] = theirs[f"{head}.conv.modulation.{part}"]
    return named


#: Every network's checkpoint.
LAYOUTS: dict[str, Callable[[Draw], dict[str, Any]]] = {
    "stylegan2": rosinality,
    "e4e": e4e,
    "ir152": lambda draw: arcface(152, False, draw),
    "irse50": lambda draw: arcface(50, True, draw),
    "facenet": facenet,
    "mobileface": mobileface,
}


# --- what they compute --------------------------------------------------------------------------------


def normed(named: Named, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    parts = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x, *(named[f"{name}.{part}"] for part in parts), eps=eps)


def run_ir(named: Named, x: Tensor, depth: int) -> list[Tensor]:
    """What leaves every block."""
    x = normed(named, "input_layer.1", F.conv2d(x, named["input_layer.0.weight"], padding=1))
    x = F.prelu(x, named["input_layer.2.weight"])
    outputs = []
    for i, (inputs, channels, stride) in enumerate(stages(depth)):
        block = f"body.{i}"
        shortcut = F.max_pool2d(x, 1, stride)
        if inputs != channels:
            shortcut = F.conv2d(x, named[f"{block}.shortcut_layer.0.weight"], stride=stride)
            shortcut = normed(named, f"{block}.shortcut_layer.1", shortcut)
        h = F.conv2d(
            normed(named, f"{block}.res_layer.0", x), named[f"{block}.res_layer.1.weight"], padding=1
        )
        h = F.prelu(h, named[f"{block}.res_layer.2.weight"])
        h = F.conv2d(h, named[f"{block}.res_layer.3.weight"], stride=stride, padding=1)
        h = normed(named, f"{block}.res_layer.4", h)
        if f"{block}.res_layer.5.fc1.weight" in named:
            gate = F.relu(F.conv2d(F.adaptive_avg_pool2d(h, 1), named[f"{block}.res_layer.5.fc1.weight"]))
            h = h * F.conv2d(gate, named[f"{block}.res_layer.5.fc2.weight"]).sigmoid()
        x = h + shortcut
        outputs.append(x)
    return outputs


def run_arcface(named: Named, x: Tensor, depth: int) -> Tensor:
    x = normed(named, "output_layer.0", run_ir(named, x, depth)[-1]).flatten(1)
    return normed(
        named, "output_layer.4", F.linear(x, named["output_layer.3.weight"], named["output_layer.3.bias"])
    )


def run_mobileface(named: Named, x: Tensor) -> Tensor:
    def conv(name: str, x: Tensor, stride: int = 1, pad: int = 0) -> Tensor:
        weight = named[f"{name}.conv.weight"]
        groups = x.shape[1] // weight.shape[1]
        x = normed(named, f"{name}.bn", F.conv2d(x, weight, stride=stride, padding=pad, groups=groups))
        return F.prelu(x, named[f"{name}.prelu.weight"]) if f"{name}.prelu.weight" in named else x

    x = conv("conv2_dw", conv("conv1", x, 2, 1), 1, 1)
    for name, _, _, _, count in MOBILE_BLOCKS:
        for i in range(max(count, 1)):
            block = f"{name}.model.{i}" if count else name
            h = conv(f"{block}.conv_dw", conv(f"{block}.conv", x), 1 if count else 2, 1)
            h = conv(f"{block}.project", h)
            x = x + h if count else h
    x = conv("conv_6_dw", conv("conv_6_sep", x)).flatten(1)
    return normed(named, "bn", F.linear(x, named["linear.weight"]))


def run_e4e(checkpoint: dict[str, Any], x: Tensor) -> Tensor:
    named = {name.removeprefix("encoder."): tensor for name, tensor in checkpoint["state_dict"].items()}
    blocks = run_ir(named, x, 50)
    coarse = blocks[23]

    def grown(x: Tensor, y: Tensor, layer: str) -> Tensor:
        y = F.conv2d(y, named[f"{layer}.weight"], named[f"{layer}.bias"])
        return F.interpolate(x, size=y.shape[2:], mode="bilinear", align_corners=True) + y

    def row(i: int, x: Tensor) -> Tensor:
        for k in range(4 if i < 3 else 5 if i < 7 else 6):
            conv = f"styles.{i}.convs.{2 * k}"
            x = F.leaky_relu(F.conv2d(x, named[f"{conv}.weight"], named[f"{conv}.bias"], 2, 1))
        assert x.shape[2:] == (1, 1)
        return F.linear(
            x.flatten(1), named[f"styles.{i}.linear.weight"] / 512**0.5, named[f"styles.{i}.linear.bias"]
        )

    middle = grown(coarse, blocks[20], "latlayer1")
    fine = grown(middle, blocks[6], "latlayer2")
    rows = [row(i, coarse if i < 3 else middle if i < 7 else fine) for i in range(18)]
    return torch.stack([rows[0], *(rows[0] + r for r in rows[1:])], dim=1) + checkpoint["latent_avg"]


def run_mapping(checkpoint: dict[str, Any], z: Tensor) -> Tensor:
    named = checkpoint["g_ema"]
    x = z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    for i in range(1, 9):
        x = F.linear(x, named[f"style.{i}.weight"] * 0.01 / 512**0.5, named[f"style.{i}.bias"] * 0.01)
        x = F.leaky_relu(x, 0.2) * 2**0.5
    return x


def run_synthesis(checkpoint: dict[str, Any], w: Tensor) -> Tensor:
    """Each image's own weights, in one grouped convolution for the batch; the filter as one 4x4 kernel."""
    named = checkpoint["g_ema"]

    def fir(x: Tensor, pad: tuple[int, int]) -> Tensor:
        shape = x.shape[:2]
        x = F.conv2d(F.pad(x.flatten(0, 1)[:, None], (*pad, *pad)), 4 * FIR[None, None])
        return x[:, 0].unflatten(0, shape)

    def modulated(name: str, x: Tensor, code: Tensor, *, demodulate: bool, up: bool = False) -> Tensor:
        weight = named[f"{name}.conv.weight"]
        n, inputs, outputs, size = len(x), x.shape[1], weight.shape[1], weight.shape[3]
        style = F.linear(
            code, named[f"{name}.conv.modulation.weight"] / 512**0.5, named[f"{name}.conv.modulation.bias"]
        )
        own = weight / (inputs * size**2) ** 0.5 * style[:, None, :, None, None]
        if demodulate:
            own = own / (own.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).sqrt()
        x = x.reshape(1, n * inputs, *x.shape[2:])
        if not up:
            return F.conv2d(x, own.flatten(0, 1), padding=size // 2, groups=n)[0].unflatten(0, (n, outputs))
        x = F.conv_transpose2d(x, own.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
        return fir(x[0].unflatten(0, (n, outputs)), (1, 1))

    def conv(name: str, number: int, x: Tensor, up: bool = False) -> Tensor:
        x = modulated(name, x, w[:, number], demodulate=True, up=up)
        x = x + named[f"{name}.noise.weight"] * named[f"noises.noise_{number}"]
        return F.leaky_relu(x + named[f"{name}.activate.bias"][:, None, None], 0.2) * 2**0.5

    def head(name: str, number: int, x: Tensor) -> Tensor:
        return modulated(name, x, w[:, number], demodulate=False) + named[f"{name}.bias"]

    x = conv("conv1", 0, named["input.input"].expand(len(w), -1, -1, -1))
    image = head("to_rgb1", 1, x)
    for i in range(8):
        x = conv(f"convs.{2 * i + 1}", 2 * i + 2, conv(f"convs.{2 * i}", 2 * i + 1, x, up=True))
        zeros = image.new_zeros(*image.shape[:2], 2 * image.shape[2], 2 * image.shape[3])
        zeros[:, :, ::2, ::2] = image
        image = fir(zeros, (2, 1)) + head(f"to_rgbs.{i}", 2 * i + 3, x)
    return image
