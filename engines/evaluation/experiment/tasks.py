"""What a worker process does: each task is a function of its own bytes, so any process gives the same result."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field, fields
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from engines.config import NO_PROMPT, Mode, Settings
from engines.errors import Clip2ProtectError, NoFaceError
from engines.evaluation.experiment import lpips
from engines.evaluation.experiment.methods import METHODS, apply
from engines.evaluation.experiment.transforms import found_after, region
from engines.evaluation.score.adaptive import forensic_features
from engines.face.crop import AlignedFace
from engines.face.detect import Face, detect
from engines.face.recognise import identity_of_face
from engines.load import embedded_stack, reference_stack
from engines.makeup.regions import view_of
from engines.photo.decode import Photo, decode
from engines.photo.quality import psnr, ssim
from engines.runtime import tune_allocator
from engines.stack import Stack

#: Begins the reason of a failure that nobody thought of; such a task is done again.
UNFORESEEN = "unexpected"
#: Raise it when a task's result comes to mean something else: older results are then not taken up again.
VERSION = 1
#: Sides in px of a face as the contact sheet shows it and as the detector of protected photos sees it.
SHOWN, FORENSIC = 192, 224
#: Rows of W+ from which a generated person's second photo is another's: light, colour and fine features.
_SECOND_PHOTO = 8
#: Truncation of generated people: wide, as people differ.
_TRUNCATION = 0.9


@dataclass(frozen=True)
class Networks:
    """Which networks a worker loads: the embedded ones, or the paper's from a folder; engines are left aside."""

    device: str = "cpu"
    reference: Path | None = None


@dataclass(frozen=True)
class Result:
    """What came of a task: values ready for JSON, arrays by name, and why it failed, if it did."""

    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    failed: str | None = None


class Task(Protocol):
    """A piece of work; its fields are all that its result depends on."""

    networks: Networks

    def do(self, stack: Stack) -> Result:
        """The work itself.  Raises Clip2ProtectError where the photo does not allow it."""
        ...


@dataclass(frozen=True)
class Protect:
    """Protect the largest face of a photo by a method, while one recogniser takes no part.

    Arrays: `photo`, the encoded bytes.  Values: `seconds`.
    """

    networks: Networks
    photo: bytes
    method: str
    mode: Mode
    held_out: str
    target: bytes | None
    seed: int

    def do(self, stack: Stack) -> Result:
        """As the class says."""
        start = time.perf_counter()
        data = apply(
            METHODS[self.method],
            stack,
            decode(self.photo),
            mode=self.mode,
            held_out=self.held_out,
            target=self.target,
            seed=self.seed,
        )
        return Result({"seconds": time.perf_counter() - start}, {"photo": np.frombuffer(data, np.uint8)})


@dataclass(frozen=True)
class Look:
    """Look at what became of a photo's largest face, as it is and after transforms.

    Arrays: TRANSFORM/RECOGNISER, the embedding (D,), missing where no face was found; `features` (D,) of the text-image
    model; `forensic` (F,); `face`, the bytes of a JPEG.  Values: the naturalness, beside the clean photo.
    """

    networks: Networks
    clean: bytes
    photo: bytes
    transforms: tuple[str, ...]
    prompt: str = NO_PROMPT

    def do(self, stack: Stack) -> Result:
        """As the class says."""
        clean, after = decode(self.clean), decode(self.photo)
        faces = detect(stack.detector, clean.pixels)
        if not faces:
            raise NoFaceError("no face was found")
        face = faces[0]
        arrays: dict[str, np.ndarray] = {}
        seen = _embeddings(stack, after.pixels, face, "none")
        if self.clean == self.photo and not seen:
            raise NoFaceError("its face is not found again when the photo is cut to its surroundings")
        for name in self.transforms:
            found = seen if name == "none" else _embeddings(stack, after.pixels, face, name)
            arrays |= {f"{name}/{r}": e for r, e in found.items()}
        features = [_features(stack, photo, face) for photo in (clean, after)]
        arrays |= {
            "features": features[1].numpy(),
            "forensic": forensic_features(_square(after.pixels, face, FORENSIC)),
            "face": _packed(_square(after.pixels, face, SHOWN)),
        }
        a, b = face.part_of(clean.pixels), face.part_of(after.pixels)
        values = {
            "psnr": psnr(a, b),
            "ssim": ssim(a, b),
            "lpips": lpips.lpips(a, b),
            "agreement": _agreement(stack, self.prompt, *features),
            "size": face.size,
            "turn": _turn(face),
        }
        return Result(values, arrays)


@dataclass(frozen=True)
class Strangers:
    """Generated people, each by one photo: arrays RECOGNISER (N, D), of those in which a face is found."""

    networks: Networks
    seed: int
    count: int

    def do(self, stack: Stack) -> Result:
        """As the class says."""
        with torch.no_grad():
            images = stack.preview.small(stack.generator.sample_w(self.seed, self.count, _TRUNCATION))
        seen = []
        for pixels in map(_bytes_of, images):
            faces = detect(stack.detector, pixels)
            if faces:
                seen.append(_embedded(stack, pixels, faces[0]))
        return Result({}, {r: np.stack([one[r] for one in seen]) for r in stack.recognisers if seen})


@dataclass(frozen=True)
class Target:
    """A generated person to impersonate, by two photos: `photo` (PNG bytes) is given to the search.

    The other one, of the same pose and shape and in another light, is only judged by: arrays RECOGNISER (D,).  Values:
    `alike`, RECOGNISER to whether the two match.
    """

    networks: Networks
    seed: int

    def do(self, stack: Stack) -> Result:
        """As the class says."""
        w, light = (
            stack.generator.sample_w(seed, 1, _TRUNCATION) for seed in (self.seed, self.seed + 1_000_000)
        )
        other = torch.cat((w[:, :_SECOND_PHOTO], light[:, _SECOND_PHOTO:]), dim=1)
        with torch.no_grad():
            photos = [_bytes_of(stack.generator.small(code)[0]) for code in (w, other)]
        seen = []
        for pixels in photos:
            faces = detect(stack.detector, pixels)
            if not faces:
                raise NoFaceError("the generated target shows no face")
            seen.append(_embedded(stack, pixels, faces[0]))
        buffer = BytesIO()
        Image.fromarray(photos[0]).save(buffer, "PNG")
        alike = {
            name: r.is_match(float(r.compare(*(torch.from_numpy(one[name])[None] for one in seen))))
            for name, r in stack.recognisers.items()
        }
        return Result({"alike": alike}, {"photo": np.frombuffer(buffer.getvalue(), np.uint8), **seen[1]})


def work(task: Task) -> Result:
    """Does a task; what goes wrong with one photo becomes a failure in one line, and the others go on."""
    stack = _stack(task.networks)
    try:
        return task.do(stack)
    except Clip2ProtectError as error:
        return Result(failed=str(error))
    except (ArithmeticError, LookupError, ValueError) as error:
        return Result(failed=f"{UNFORESEEN} {type(error).__name__}")


def key(task: Task) -> str:
    """A name for all that a task's result depends on, but for the program itself."""
    digest = hashlib.sha256(f"{type(task).__name__} {VERSION}".encode())
    for item in fields(task):  # type: ignore[arg-type]
        value = getattr(task, item.name)
        said = hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else repr(value)
        digest.update(f"\n{item.name} {said}".encode())
    if isinstance(task, Look) and lpips.why_no_lpips() is None:
        digest.update(b"\nlpips")
    if isinstance(task, Protect):
        method = METHODS[task.method]
        digest.update(f"\n{method.settings} {method.alone} {Settings()}".encode())
    return digest.hexdigest()[:32]


@lru_cache(1)
def _stack(networks: Networks) -> Stack:
    tune_allocator()
    if networks.reference is not None:
        return reference_stack(networks.reference, networks.device, engines=False)
    return embedded_stack(networks.device, engines=False)


def _embeddings(stack: Stack, pixels: np.ndarray, face: Face, transform: str) -> dict[str, np.ndarray]:
    """A face of a photo after a transform, as every recogniser sees it; none where it is not found."""
    rows, columns = region(pixels.shape, face)
    around = np.ascontiguousarray(pixels[rows, columns])
    left, top, right, bottom = face.box
    box = (left - columns.start, top - rows.start, right - columns.start, bottom - rows.start)
    inside = Face(box, face.points - np.array((columns.start, rows.start), np.float32), face.confidence)
    found = found_after(stack, transform, around, inside)
    return {} if found is None else _embedded(stack, *found)


def _embedded(stack: Stack, pixels: np.ndarray, face: Face) -> dict[str, np.ndarray]:
    return {
        name: e[0].cpu().numpy()
        for name, e in identity_of_face(stack.recognisers.values(), pixels, face).embeddings.items()
    }


def _features(stack: Stack, photo: Photo, face: Face) -> torch.Tensor:
    """What the text-image model makes of a face (D,)."""
    model = stack.prompter.model
    image = F.avg_pool2d(AlignedFace.cut(photo.pixels, face, stack.device).crop, 4) / 2 + 0.5
    with torch.no_grad():
        return model.images(view_of(image, model.side))[0].cpu()


def _agreement(stack: Stack, prompt: str, before: torch.Tensor, after: torch.Tensor) -> float | None:
    """Cosine of the way that a face went and the prompt's, in the text-image model; None without a prompt or a way."""
    way = after - before
    if prompt == NO_PROMPT or float(way.norm()) < 1e-6:
        return None
    wanted = stack.prompter.read(prompt, Settings().source_text).direction.cpu()
    return float(F.cosine_similarity(way, wanted, dim=0))


def _square(pixels: np.ndarray, face: Face, side: int) -> np.ndarray:
    """The face's surroundings (side, side, 3) uint8: a fifth more than its box on every side."""
    middle, half = np.array(face.box).reshape(2, 2).mean(axis=0), 0.7 * face.size
    box = (*(middle - half).tolist(), *(middle + half).tolist())
    fine = 4 * side, 4 * side
    image = Image.fromarray(pixels).transform(fine, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def _packed(pixels: np.ndarray) -> np.ndarray:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def _turn(face: Face) -> float:
    """How far the nose is off the middle of the eyes, in parts of their distance: 0 from the front."""
    right, left, nose = face.points[:3].astype(float)
    across = left - right
    return float(abs((nose - (right + left) / 2) @ across) / (across @ across))


def _bytes_of(image: torch.Tensor) -> np.ndarray:
    """A generated image (3, H, W) in [-1, 1] as pixels (H, W, 3) uint8."""
    return ((image.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
