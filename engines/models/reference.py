"""The paper's own networks: their files, where the authors publish them, and their licences.

No package registry carries them, and most need a click in a browser, so nothing here is fetched.  The user
puts the files into one folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engines.errors import FormatError, IntegrityError, ModelError
from engines.models.registry import ModelSpec, Preprocessing, Threshold, Url

FOLDER = "CLIP2PROTECT_REFERENCE"


@dataclass(frozen=True, kw_only=True)
class ReferenceSpec(ModelSpec):
    """A network in a `file` of its own.  `sha256` is None where its authors publish none.

    Where the address gives something other than the file, `inside` tells how to get the file out of it.
    """

    file: str
    sha256: str | None = None
    inside: str = ""

    def __str__(self) -> str:
        """How to get the file, in one line."""
        inside = f" ({self.inside})" if self.inside else ""
        return f"{self.file}: {self.description}; get it from {self.source}{inside}; licence: {self.licence}"


def _recogniser(
    name: str, file: str, far_1pct: float, side: int, *, description: str, licence: str, trained_on: str
) -> ReferenceSpec:
    """A recogniser of the paper's assets.  `far_1pct` is its cosine at a false accept rate of 0.01."""
    return ReferenceSpec(
        name=name,
        role="recogniser",
        source=Url(_ASSETS),
        members=(),
        file=file,
        inside=f"an archive, assets.zip: take {file} out of it",
        description=description,
        licence=licence,
        trained_on=trained_on,
        preprocessing=Preprocessing(
            (side, side), (127.5, 127.5, 127.5), 127.5, alignment="arcface" if side == 112 else "arcface-160"
        ),
        # The cosine of a typical pair is unpublished.  One span for all keeps their weights equal, as in the
        # paper.
        threshold=Threshold("cosine", far_1pct, far_1pct + _SPAN, _PAPER),
    )


#: The archive of AMT-GAN (Hu et al., CVPR 2022).  The paper uses its recognisers.
_ASSETS = "https://drive.google.com/file/d/1Vuek5-YTZlYGoeoqyM5DlvnaXMeii4O8/view"
_PAPER = "by the paper (section 4); the typical pair is assumed, not measured"
_SPAN = 0.5
#: The way of the weights to AMT-GAN, and their terms.
_PROVENANCE = (
    "the weights come by AMT-GAN, MIT, from Adv-Makeup, whose own licence is for academic research only"
)
_INSIGHTFACE = f"MIT for the code, TreB1eN/InsightFace_Pytorch; {_PROVENANCE}"

_STYLEGAN2 = ReferenceSpec(
    name="stylegan2",
    role="generator",
    source=Url("https://drive.google.com/file/d/1EM87UquaoQmk17Q8d5kYIAHqu0dkYqdT/view"),
    members=(),
    file="stylegan2-ffhq-config-f.pt",
    description="StyleGAN2-FFHQ generator, 1024 px, as rosinality/stylegan2-pytorch converts NVIDIA's",
    licence="Nvidia Source Code License-NC: not for commercial use",
    trained_on="FFHQ",
)
_E4E = ReferenceSpec(
    name="e4e",
    role="encoder",
    source=Url("https://drive.google.com/file/d/1cUv_reLE6k3604or78EranS7XzuVMWeO/view"),
    members=(),
    file="e4e_ffhq_encode.pt",
    description="e4e inversion encoder",
    licence="MIT (omertov/encoder4editing)",
    trained_on="FFHQ",
)
_IR152 = _recogniser(
    "ir152",
    "ir152.pth",
    0.166788,
    112,
    description="IR-152 recogniser",
    licence=f"MIT for the code, ZhaoJ9014/face.evoLVe; {_PROVENANCE}",
    trained_on="MS-Celeb-1M (face.evoLVe)",
)
_IRSE50 = _recogniser(
    "irse50",
    "irse50.pth",
    0.241045,
    112,
    description="IR-SE50 recogniser",
    licence=_INSIGHTFACE,
    trained_on="MS-Celeb-1M, refined",
)
_FACENET = _recogniser(
    "facenet",
    "facenet.pth",
    0.409131,
    160,
    description="FaceNet recogniser, InceptionResnetV1",
    licence=f"MIT for the code, timesler/facenet-pytorch; {_PROVENANCE}",
    trained_on="VGGFace2: its classifier has that set's 8,631 people",
)
_MOBILEFACE = _recogniser(
    "mobileface",
    "mobile_face.pth",
    0.301611,
    112,
    description="MobileFaceNet recogniser",
    licence=_INSIGHTFACE,
    trained_on="MS-Celeb-1M, refined",
)
_CLIP = ReferenceSpec(
    name="clip",
    role="text",
    source=Url(
        "https://huggingface.co/timm/vit_base_patch32_clip_224.openai/resolve/main/"
        "open_clip_model.safetensors"
    ),
    members=(),
    file="open_clip_model.safetensors",
    description="CLIP ViT-B/32 of OpenAI, in open_clip's layout",
    licence="MIT (openai/CLIP)",
    trained_on="400 million pairs of image and text from the web (OpenAI)",
)

NETWORKS: dict[str, ReferenceSpec] = {
    spec.name: spec for spec in (_STYLEGAN2, _E4E, _IR152, _IRSE50, _FACENET, _MOBILEFACE, _CLIP)
}
RECOGNISERS = tuple(name for name, spec in NETWORKS.items() if spec.role == "recogniser")


def folder(named: str | None = None) -> Path:
    """The folder of the files: `named`, else `CLIP2PROTECT_REFERENCE`, else `reference` in the cache."""
    path = named or os.environ.get(FOLDER)
    if path:
        return Path(path).expanduser().absolute()
    from engines.models.store import cache_dir

    return cache_dir() / "reference"


def missing(where: Path, *, text: bool = True) -> list[ReferenceSpec]:
    """The networks whose files are not in a folder.  Without `text`, CLIP may be absent.

    Raises FormatError where a network is there only as a pickle.
    """
    return [
        spec for spec in NETWORKS.values() if (text or spec.role != "text") and _find(spec, where) is None
    ]


def checkpoint_file(name: str, where: Path) -> Path:
    """The file of a network in a folder.  Its sha256 is checked where the authors publish one.

    Raises ModelError where it is missing, FormatError where it is a pickle, IntegrityError where it is
    another file than the published one.
    """
    spec = NETWORKS[name]
    path = _find(spec, where)
    if path is None:
        raise ModelError(f"{where} lacks {spec}")
    if spec.sha256 is not None:
        from engines.models.fetch import file_sha256

        if file_sha256(path) != spec.sha256:
            raise IntegrityError(
                f"{path} is not the published file, its sha256 differs: get it again from {spec.source}"
            )
    return path


def refuse_pickle(path: Path) -> FormatError:
    """The error for a pickle: why it is not read, and what to do instead."""
    return FormatError(
        f"{path} is no file of tensors alone, and a pickle can run any code when it is read: where you trust"
        " it, use the code that wrote it to save its tensors, torch.save(network.state_dict(), FILE.pt)"
        " (NVIDIA's network is legacy.load_network_pkl(file)['G_ema'] in stylegan2-ada-pytorch)"
    )


def _find(spec: ReferenceSpec, where: Path) -> Path | None:
    """The network's file, or the same tensors as safetensors."""
    path = where / spec.file
    for candidate in (path, path.with_suffix(".safetensors")):
        if candidate.is_file():
            return candidate
    if path.with_suffix(".pkl").is_file():
        raise refuse_pickle(path.with_suffix(".pkl"))
    return None
