"""The tasks of worker processes: functions of their own bytes, with the same result in every process."""

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
from engines.evaluation.experiment import perceptual
from engines.evaluation.experiment.forensics import forensic_features
from engines.evaluation.experiment.lookalikes import look_alikes
from engines.evaluation.experiment.methods import METHODS, apply
from engines.evaluation.experiment.transforms import find_after, region
from engines.face.crop import AlignedFace
from engines.face.detect import Face, detect
from engines.face.recognise import identity_of_face
from engines.load import embedded_stack, reference_stack
from engines.makeup.regions import view_of
from engines.networks.frame import quarter
from engines.photo.decode import Photo, decode
from engines.photo.quality import psnr, ssim
from engines.runtime import tune_allocator
from engines.stack import Stack

#: Begins the reason of a failure that the program did not foresee; such a task is done again.
UNFORESEEN = "unexpected"
#: Raise it when the meaning of a task's result changes: older results are then not used again.
VERSION = 1
#: Sides in px of a face on the contact sheet and for the detector of protected photos.
SHOWN, FORENSIC = 192, 224
#: From this row of W+ on, a target's second photo has other codes: light, colour and fine features.
_SECOND_PHOTO = 8
#: Truncation of generated people: wide, because people differ.
_TRUNCATION = 0.9


@dataclass(frozen=True)
class Networks:
    """The networks that a worker loads, without exports: the embedded ones, or the paper's from a folder."""

    device: str = "cpu"
    reference: Path | None = None


@dataclass(frozen=True)
class Result:
    """The result of a task: values ready for JSON, arrays by name, and the reason of a failure."""

    values: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    failed: str | None = None


class Task(Protocol):
    """A piece of work.  Its result depends on nothing but its fields."""

    @property
    def networks(self) -> Networks:
        """The networks that the task needs."""
        ...

    def do(self, stack: Stack) -> Result:
        """Do the work.  Raises Clip2ProtectError where the photo does not allow it."""
        ...


@dataclass(frozen=True)
class Protection:
    """Protect the largest face of a photo by a method, with one recogniser held out.

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
        """See the class."""
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
class Inspection:
    """Inspect the largest face of a protected photo, plain and after transforms.

    Arrays: TRANSFORM/RECOGNISER, the embedding (D,), missing where no face was found; `features` (D,) of the
    text-image model; `forensic` (F,); `face`, the bytes of a JPEG.  Values: the naturalness against the clean
    photo, and the face's size and turn.
    """

    networks: Networks
    clean: bytes
    photo: bytes
    transforms: tuple[str, ...]
    prompt: str = NO_PROMPT

    def do(self, stack: Stack) -> Result:
        """See the class."""
        clean, after = decode(self.clean), decode(self.photo)
        faces = detect(stack.detector, clean.pixels)
        if not faces:
            raise NoFaceError("no face was found")
        face = faces[0]
        arrays: dict[str, np.ndarray] = {}
        plain = _embeddings(stack, after.pixels, face, "none")
        if self.clean == self.photo and not plain:
            raise NoFaceError("its face is not found again when the photo is cut to its surroundings")
        for name in self.transforms:
            embeddings = plain if name == "none" else _embeddings(stack, after.pixels, face, name)
            arrays |= {f"{name}/{r}": e for r, e in embeddings.items()}
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
            "lpips": perceptual.lpips(a, b),
            "agreement": _agreement(stack, self.prompt, *features),
            "size": face.size,
            "turn": _turn(face),
        }
        return Result(values, arrays)


@dataclass(frozen=True)
class Strangers:
    """Generated people, one photo each: arrays RECOGNISER (N, D), of the photos in which a face is found."""

    networks: Networks
    seed: int
    count: int

    def do(self, stack: Stack) -> Result:
        """See the class."""
        with torch.no_grad():
            images = stack.preview.small(stack.generator.sample_w(self.seed, self.count, _TRUNCATION))
        people = []
        for pixels in map(_bytes_of, images):
            faces = detect(stack.detector, pixels)
            if faces:
                people.append(_embedded(stack, pixels, faces[0]))
        return Result(
            {}, {r: np.stack([person[r] for person in people]) for r in stack.recognisers if people}
        )


@dataclass(frozen=True)
class LookAlikes:
    """Generated look-alikes of the largest face of a photo: arrays RECOGNISER (count, D)."""

    networks: Networks
    photo: bytes
    seed: int
    count: int

    def do(self, stack: Stack) -> Result:
        """See the class."""
        photo = decode(self.photo)
        faces = detect(stack.detector, photo.pixels)
        if not faces:
            raise NoFaceError("no face was found")
        people = look_alikes(stack, photo.pixels, faces[0], self.count, self.seed)
        return Result({}, {name: e.cpu().numpy() for name, e in people.embeddings.items()})


@dataclass(frozen=True)
class TargetPerson:
    """A generated person to impersonate, on two photos.

    The search gets the first: array `photo`, PNG bytes.  Recognisers judge by the second, of the same pose
    and shape in another light: arrays RECOGNISER (D,).  Values: `alike`, RECOGNISER to whether the two photos
    match.
    """

    networks: Networks
    seed: int

    def do(self, stack: Stack) -> Result:
        """See the class."""
        w, light = (
            stack.generator.sample_w(seed, 1, _TRUNCATION) for seed in (self.seed, self.seed + 1_000_000)
        )
        other = torch.cat((w[:, :_SECOND_PHOTO], light[:, _SECOND_PHOTO:]), dim=1)
        with torch.no_grad():
            photos = [_bytes_of(stack.generator.small(code)[0]) for code in (w, other)]
        embedded = []
        for pixels in photos:
            faces = detect(stack.detector, pixels)
            if not faces:
                raise NoFaceError("the generated target shows no face")
            embedded.append(_embedded(stack, pixels, faces[0]))
        buffer = BytesIO()
        Image.fromarray(photos[0]).save(buffer, "PNG")
        alike = {
            name: r.is_match(float(r.compare(*(torch.from_numpy(photo[name])[None] for photo in embedded))))
            for name, r in stack.recognisers.items()
        }
        return Result({"alike": alike}, {"photo": np.frombuffer(buffer.getvalue(), np.uint8), **embedded[1]})


def work(task: Task) -> Result:
    """Do a task.  An error of one photo becomes a failure in one line, and the other tasks go on."""
    stack = _stack(task.networks)
    try:
        return task.do(stack)
    except Clip2ProtectError as error:
        return Result(failed=str(error))
    except (ArithmeticError, LookupError, ValueError) as error:
        return Result(failed=f"{UNFORESEEN} {type(error).__name__}")


def key(task: Task) -> str:
    """A name of all that a task's result depends on, except the program itself."""
    digest = hashlib.sha256(f"{type(task).__name__} {VERSION}".encode())
    for item in fields(task):  # type: ignore[arg-type]
        value = getattr(task, item.name)
        text = hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else repr(value)
        digest.update(f"\n{item.name} {text}".encode())
    if isinstance(task, Inspection) and perceptual.why_no_lpips() is None:
        digest.update(b"\nlpips")
    if isinstance(task, Protection):
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
    """The embeddings of a photo's face after a transform, by recogniser; none where the face is not found."""
    rows, columns = region(pixels.shape, face)
    around = np.ascontiguousarray(pixels[rows, columns])
    left, top, right, bottom = face.box
    box = (left - columns.start, top - rows.start, right - columns.start, bottom - rows.start)
    inside = Face(box, face.points - np.array((columns.start, rows.start), np.float32), face.confidence)
    changed = find_after(stack, transform, around, inside)
    return {} if changed is None else _embedded(stack, *changed)


def _embedded(stack: Stack, pixels: np.ndarray, face: Face) -> dict[str, np.ndarray]:
    return {
        name: e[0].cpu().numpy()
        for name, e in identity_of_face(stack.recognisers.values(), pixels, face).embeddings.items()
    }


def _features(stack: Stack, photo: Photo, face: Face) -> torch.Tensor:
    """The features (D,) of a face in the text-image model."""
    model = stack.prompter.model
    image = quarter(AlignedFace.cut(photo.pixels, face, stack.device).crop)
    with torch.no_grad():
        return model.images(view_of(image, model.side))[0].cpu()


def _agreement(stack: Stack, prompt: str, before: torch.Tensor, after: torch.Tensor) -> float | None:
    """Cosine of the face's change with the prompt's direction, in the text-image model.

    None without a prompt or a change.
    """
    change = after - before
    if prompt == NO_PROMPT or float(change.norm()) < 1e-6:
        return None
    wanted = stack.prompter.read(prompt, Settings().source_text).direction.cpu()
    return float(F.cosine_similarity(change, wanted, dim=0))


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
    """Distance of the nose from the middle of the eyes, in parts of the eyes' distance: 0 from the front."""
    right, left, nose = face.points[:3].astype(float)
    across = left - right
    return float(abs((nose - (right + left) / 2) @ across) / (across @ across))


def _bytes_of(image: torch.Tensor) -> np.ndarray:
    """A generated image (3, H, W) in [-1, 1] as pixels (H, W, 3) uint8."""
    return ((image.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
