"""Checkpoints of the paper's networks: read without running code, no tensor left over."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from engines.errors import FormatError, ModelError
from engines.models.checkpoints import fill, load_checkpoint, read_checkpoint
from tests.support import published
from tests.support.checkpoints import tensors_of, written
from tests.support.published import LAYOUTS, drawer, pooled


def test_nvidias_names_lead_to_the_same_generator(checkpoint: dict[str, Any]) -> None:
    layouts = checkpoint, published.nvidia(checkpoint)
    ours, theirs = (fill("stylegan2", layout).state_dict() for layout in layouts)
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_conversion_without_noise_maps_gets_the_same_ones_each_time(checkpoint: dict[str, Any]) -> None:
    named = checkpoint["g_ema"]
    bare = {name: tensor for name, tensor in named.items() if not name.startswith("noises.")}
    one, other = (fill("stylegan2", {**checkpoint, "g_ema": bare}).synthesis.noise_maps() for _ in range(2))
    assert [noise.shape for noise in one] == [named[f"noises.noise_{i}"].shape for i in range(17)]
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert 0.9 < float(one[-1].std()) < 1.1
    some = {name: tensor for name, tensor in named.items() if name != "noises.noise_3"}
    with pytest.raises(FormatError, match=r"^noises\.noise_3 is missing$"):
        fill("stylegan2", {**checkpoint, "g_ema": some})


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_tensor_too_many_too_few_or_of_another_shape(name: str) -> None:
    layout = LAYOUTS[name](pooled)
    named = tensors_of(name, layout)
    stranger = "encoder.stranger" if name == "e4e" else "stranger"
    named[stranger] = torch.zeros(2)
    with pytest.raises(FormatError, match=f"^{stranger} belongs to nothing$"):
        fill(name, layout)
    del named[stranger]
    key = next(key for key in reversed(named) if key.endswith(".weight") and "logits" not in key)
    kept = named.pop(key)
    with pytest.raises(FormatError, match=f"^{key} is missing$"):
        fill(name, layout)
    named[key] = torch.zeros(5, 7)
    with pytest.raises(FormatError, match=rf"^{key} has shape \(5, 7\), not \("):
        fill(name, layout)
    named[key] = "nothing"  # type: ignore[assignment]
    with pytest.raises(FormatError, match=f"^{key} is no tensor but a str$"):
        fill(name, layout)
    named[key] = kept
    fill(name, layout)


def test_another_filter_is_refused(checkpoint: dict[str, Any]) -> None:
    other = {**checkpoint["g_ema"], "convs.0.conv.blur.kernel": torch.ones(4, 4)}
    with pytest.raises(FormatError, match=r"convs\.0\.conv\.blur\.kernel is another filter"):
        fill("stylegan2", {**checkpoint, "g_ema": other})


def test_another_checkpoint_than_e4es_is_refused() -> None:
    with pytest.raises(FormatError, match="state_dict or latent_avg is missing"):
        fill("e4e", LAYOUTS["mobileface"](pooled))


class Trap:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def test_files_are_read_without_running_code(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "ffhq.pkl").write_bytes(pickle.dumps({"G_ema": Trap(ran)}, protocol=2))
    written(tmp_path / "trap.pt", {"weight": torch.zeros(1), "more": Trap(ran)})
    written(tmp_path / "opts.pt", {"opts": argparse.Namespace(size=1024)})
    for name in ("ffhq.pkl", "trap.pt", "opts.pt"):
        with pytest.raises(
            FormatError, match=rf"{name} is no file of tensors alone.*state_dict\(\)"
        ) as refusal:
            read_checkpoint(tmp_path / name)
        assert "\n" not in str(refusal.value)
    assert not ran.exists()
    pickle.loads((tmp_path / "ffhq.pkl").read_bytes())["G_ema"].close()
    assert ran.exists()  # so the trap is one


def test_files_that_are_damaged_or_something_else(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole.pt", {"weight": torch.randn(1000)})
    (tmp_path / "half.pt").write_bytes(whole.read_bytes()[:1000])
    (tmp_path / "half.safetensors").write_bytes(b"\x10\x00\x00")
    for name in ("half.pt", "half.safetensors"):
        with pytest.raises(FormatError, match=f"{name} is no .*damaged"):
            read_checkpoint(tmp_path / name)
    with pytest.raises(FormatError, match="holds a Tensor instead of named tensors"):
        read_checkpoint(written(tmp_path / "bare.pt", torch.zeros(3)))
    with pytest.raises(ModelError, match=r"cannot read .*nowhere\.pt: No such file"):
        read_checkpoint(tmp_path / "nowhere.pt")


def test_a_file_is_named_in_what_is_wrong_with_it(tmp_path: Path) -> None:
    written(tmp_path / "mobile_face.pth", {"conv1.conv.weight": torch.zeros(64, 3, 3, 3)})
    with pytest.raises(FormatError, match=r"mobile_face\.pth: conv1\.bn\.weight is missing"):
        load_checkpoint("mobileface", tmp_path)


def test_safetensors_serve_as_well(tmp_path: Path) -> None:
    named = LAYOUTS["mobileface"](drawer())
    safetensors.torch.save_file(named, tmp_path / "mobile_face.safetensors")
    found, expected = (
        load_checkpoint("mobileface", tmp_path).state_dict(),
        fill("mobileface", named).state_dict(),
    )
    assert all(torch.equal(found[name], expected[name]) for name in expected)
