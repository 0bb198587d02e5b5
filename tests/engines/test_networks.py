"""The networks: equal to the published ones, nothing lost in conversion, and what the generator promises."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
import safetensors.numpy
import tflite
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from engines import stack as stack_module
from engines.errors import FormatError
from engines.face.recognise import Recogniser
from engines.load import load_network
from engines.models import store
from engines.models.convert import build_network, convert_files
from engines.models.registry import SPECS
from engines.networks.frame import IMAGE_SIZE, Window
from engines.networks.mobilestylegan import ACTING_ROWS, W_ROWS, Generator, inverse_haar
from engines.networks.mtcnn import MTCNN
from engines.stack import Stack

PARITY = dict(np.load(Path(__file__).parents[1] / "fixtures" / "parity.npz"))
IMAGE_STRIDE = 13  # as in make_parity
DETECTOR = {"pnet": ("face", "box"), "rnet": ("face", "box"), "onet": ("face", "box", "points")}
MIDDLE = Window(24, 24, 40, 40)


def off(value: Tensor, expected: Tensor | np.ndarray) -> float:
    """Relative error."""
    expected = torch.as_tensor(expected)
    assert value.shape == expected.shape
    return float((value - expected).norm() / expected.norm())


# --- equal to the published networks ---------------------------------------------------------------


def shown(name: str) -> Tensor:
    """Pictures of the fixture as (N, 3, H, W), 0..255."""
    return torch.from_numpy(PARITY[name]).permute(0, 3, 1, 2).float()


@pytest.mark.models
@torch.no_grad()
def test_mapping_is_the_published_one(stack: Stack) -> None:
    assert off(stack.generator.mapping(torch.from_numpy(PARITY["mapping_in"])), PARITY["mapping_out"]) < 1e-4


@pytest.mark.models
@torch.no_grad()
def test_synthesis_is_the_published_one_with_another_style_in_every_row(stack: Stack) -> None:
    w = torch.from_numpy(PARITY["mapping_out"])
    image = stack.generator((0.5 * w + 0.5 * w.mean(dim=0))[None])
    assert off(image[0, :, ::IMAGE_STRIDE, ::IMAGE_STRIDE], PARITY["synthesis_out"]) < 1e-4


@pytest.mark.models
@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("mobilefacenet-512", "mobilefacenet_in"),
        ("mobilefacenet-192", "mobilefacenet_in"),
        ("dlib-resnet29", "dlib-resnet29_in"),
    ],
)
@torch.no_grad()
def test_recognisers_are_the_published_ones(stack: Stack, name: str, pictures: str) -> None:
    recogniser = stack.recognisers[name]
    spec = SPECS[name].preprocessing
    x = (shown(pictures) - torch.tensor(spec.mean)[:, None, None]) / spec.scale
    expected = torch.from_numpy(PARITY[f"{name}_out"])
    assert off(recogniser.network(x), expected) < 1e-4
    # The same through `Recogniser`, which cuts, normalises and, for cosines, brings to length 1.
    identity = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    if recogniser.threshold.metric == "cosine":
        expected = expected / expected.norm(dim=1, keepdim=True)
    assert off(recogniser.embed(shown(pictures) / 255, identity), expected) < 1e-4


@pytest.mark.models
@pytest.mark.parametrize("name", DETECTOR)
@torch.no_grad()
def test_detector_is_the_published_one(stack: Stack, name: str) -> None:
    outputs = getattr(stack.detector, name)((shown(f"{name}_in") - 127.5) / 128)
    assert len(outputs) == len(DETECTOR[name])
    for part, output in zip(DETECTOR[name], outputs, strict=True):
        expected = PARITY[f"{name}_{part}"]
        expected = np.moveaxis(expected, -1, 1) if expected.ndim == 4 else expected
        assert off(output, expected[:, 1] if part == "face" else expected) < 1e-4, part


@pytest.mark.models
@torch.no_grad()
def test_landmarks_are_the_published_ones() -> None:
    gray = torch.from_numpy(PARITY["landmarks-68_in"]).float().mean(dim=3)[:, None] / 256
    points = load_network("landmarks-68")(gray)
    assert off(points.flatten(1), PARITY["landmarks-68_out"]) < 1e-4


# --- nothing lost in conversion: files of the real formats, with weights made up here ---------------

Named = dict[str, np.ndarray]


def weights(name: str) -> Named:
    """Made-up weights of a network, in the order in which it runs."""
    torch.manual_seed(0)
    state = build_network(name).state_dict()
    drawn = {key: 0.1 * torch.randn(tensor.shape) for key, tensor in state.items()}
    return {
        key: (1000 * drawn[key]).to(tensor.dtype).numpy()
        if tensor.dtype == torch.uint8
        else drawn[key].numpy()
        for key, tensor in state.items()
    }


def is_prelu(network: nn.Module, key: str) -> bool:
    return isinstance(network.get_submodule(key.rpartition(".")[0]), nn.PReLU)


def grouped(named: Named) -> Iterator[tuple[str, list[np.ndarray]]]:
    """(module, its tensors) in order."""
    modules = dict.fromkeys(key.rpartition(".")[0] for key in named)
    for module in modules:
        yield module, [array for key, array in named.items() if key.rpartition(".")[0] == module]


def onnx_file(network: nn.Module, named: Named, left_over: bool = False, *, normed: bool = False) -> bytes:
    """`normed`: dense layers are one node, with a batch norm behind them that changes nothing."""
    nodes, constants = [], []
    for module, arrays in grouped(named):
        names = [f"{module}.{i}" for i in range(len(arrays))]
        if is_prelu(network, f"{module}."):
            nodes.append(helper.make_node("PRelu", ["x", *names], ["x"]))
            arrays = [arrays[0].reshape(-1, 1, 1)]
        elif arrays[0].ndim == 2 and normed:
            outputs = len(arrays[0])
            of_norm = [np.ones(outputs), np.zeros(outputs), np.zeros(outputs), np.full(outputs, 1 - 1e-5)]
            nodes.append(helper.make_node("Gemm", ["x", *names], ["x"]))
            nodes.append(
                helper.make_node("BatchNormalization", ["x", *(f"norm.{i}" for i in range(4))], ["x"])
            )
            constants += [
                numpy_helper.from_array(a.astype(np.float32), f"norm.{i}") for i, a in enumerate(of_norm)
            ]
        elif arrays[0].ndim == 2:
            nodes.append(helper.make_node("MatMul", ["x", names[0]], [f"{module}.x"]))
            nodes.append(helper.make_node("Add", [f"{module}.x", *names[1:]], ["x"]))
            arrays = [arrays[0].T, *arrays[1:]]
        else:
            nodes.append(helper.make_node("Conv", ["x", *names], ["x"]))
        constants += [
            numpy_helper.from_array(np.ascontiguousarray(a), n) for a, n in zip(arrays, names, strict=True)
        ]
    if left_over:
        constants.append(numpy_helper.from_array(np.zeros(3, np.float32), "of nothing"))
    constants.append(numpy_helper.from_array(np.array([1, -1]), "a shape"))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    return helper.make_model(helper.make_graph(nodes, "net", [x], [x], constants)).SerializeToString()


def tflite_file(network: nn.Module, named: Named, left_over: bool = False) -> bytes:
    """A flat buffer; PReLU slopes as products with half of them, linear layers as 1x1 convolutions."""
    builder = flatbuffers.Builder(1 << 23)
    codes = [
        tflite.BuiltinOperator.CONV_2D,
        tflite.BuiltinOperator.DEPTHWISE_CONV_2D,
        tflite.BuiltinOperator.MUL,
    ]
    codes.append(tflite.BuiltinOperator.SUB)
    buffers, tensors, operators = [], [], []

    def vector(start: Callable[[Any, int], int], offsets: list[int]) -> int:
        start(builder, len(offsets))
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    def tensor(array: np.ndarray) -> int:
        data = builder.CreateNumpyVector(
            np.frombuffer(np.ascontiguousarray(array, "<f4").tobytes(), np.uint8)
        )
        tflite.BufferStart(builder)
        tflite.BufferAddData(builder, data)
        buffers.append(tflite.BufferEnd(builder))
        shape = builder.CreateNumpyVector(np.array(array.shape, np.int32))
        tflite.TensorStart(builder)
        tflite.TensorAddShape(builder, shape)
        tflite.TensorAddType(builder, tflite.TensorType.FLOAT32)
        tflite.TensorAddBuffer(builder, len(buffers) - 1)
        tensors.append(tflite.TensorEnd(builder))
        return len(tensors) - 1

    def operator(code: int, inputs: list[int]) -> None:
        numbers = builder.CreateNumpyVector(np.array([0, *inputs], np.int32))
        tflite.OperatorStart(builder)
        tflite.OperatorAddOpcodeIndex(builder, code)
        tflite.OperatorAddInputs(builder, numbers)
        operators.append(tflite.OperatorEnd(builder))

    tflite.BufferStart(builder)
    buffers.append(tflite.BufferEnd(builder))
    shape = builder.CreateNumpyVector(np.array([2, 112, 112, 3], np.int32))
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, shape)
    tensors.append(tflite.TensorEnd(builder))
    for module, arrays in grouped(named):
        if is_prelu(network, f"{module}."):
            operator(2, [tensor(arrays[0] / 2)])
        else:
            depthwise = network.get_submodule(module).groups > 1
            layout = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
            operator(int(depthwise), [tensor(a.transpose(layout) if a.ndim == 4 else a) for a in arrays])
    if left_over:
        operator(3, [tensor(np.zeros(3))])
    graph_tensors = vector(tflite.SubGraphStartTensorsVector, tensors)
    graph_operators = vector(tflite.SubGraphStartOperatorsVector, operators)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, graph_tensors)
    tflite.SubGraphAddOperators(builder, graph_operators)
    graphs = vector(tflite.ModelStartSubgraphsVector, [tflite.SubGraphEnd(builder)])
    kinds = []
    for code in codes:
        tflite.OperatorCodeStart(builder)
        tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, code)
        tflite.OperatorCodeAddBuiltinCode(builder, code)
        kinds.append(tflite.OperatorCodeEnd(builder))
    all_kinds, all_buffers = (
        vector(tflite.ModelStartOperatorCodesVector, kinds),
        vector(tflite.ModelStartBuffersVector, buffers),
    )
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddOperatorCodes(builder, all_kinds)
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddBuffers(builder, all_buffers)
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def dlib_file(network: nn.Module, named: Named, left_over: bool = False) -> bytes:
    """Layers as dlib serialises them: a tag, then version, four sizes and floats."""

    def integer(value: int) -> bytes:
        size = (value.bit_length() + 7) // 8 or 1
        return bytes([size]) + value.to_bytes(size, "little")

    def layer(tag: bytes, array: np.ndarray, before: bytes = b"") -> bytes:
        sizes = array.shape if array.ndim == 2 else (array.size, 1)
        header = b"".join(map(integer, (2, *sizes, 1, 1)))
        return b"\x01" + bytes([len(tag)]) + tag + before + header + array.astype("<f4").tobytes()

    data = b"\x01\x08metadata"
    for module, arrays in grouped(named):
        if module == "fc":
            data += layer(b"fc_2", arrays[0].T, integer(128) + integer(256))
        else:
            affine = "affine" in module
            data += layer(b"affine_" if affine else b"con_4", np.concatenate([a.ravel() for a in arrays]))
    if left_over:
        data += layer(b"affine_", np.zeros(6))
    return data


class IR:
    """Writes OpenVINO's intermediate representation."""

    def __init__(self) -> None:
        self.root = ET.Element("net")
        self.layers, self.edges = ET.SubElement(self.root, "layers"), ET.SubElement(self.root, "edges")
        self.blob = b""

    def add(self, kind: str, inputs: tuple[str, ...] = (), name: str = "") -> str:
        key = str(len(self.layers))
        ET.SubElement(self.layers, "layer", id=key, type=kind, name=name)
        for source in inputs:
            ET.SubElement(self.edges, "edge", {"from-layer": source, "to-layer": key})
        return key

    def constant(self, array: np.ndarray, name: str = "") -> str:
        key = self.add("Const", name=name)
        data = array.astype("<f4").tobytes()
        shape = ", ".join(map(str, array.shape))
        place = {"offset": str(len(self.blob)), "size": str(len(data))}
        ET.SubElement(self.layers[-1], "data", element_type="f32", shape=shape, **place)
        self.blob += data
        return key

    def files(self, name: str) -> dict[str, bytes]:
        return {f"{name}.xml": ET.tostring(self.root), f"{name}.bin": self.blob}


def mapping_ir(named: Named) -> IR:
    graph = IR()
    x = graph.add("Parameter")
    graph.constant(np.array(1e-8))
    for _, arrays in grouped({key: a for key, a in named.items() if key.startswith("mapping.")}):
        product = graph.add("MatMul", (x, graph.constant(arrays[0])))
        bias = [
            graph.add("Reshape", (graph.constant(a),)) for a in arrays[1:]
        ]  # none where the last is missing
        x = graph.add("Add", (product, *bias))
    return graph


def synthesis_ir(named: Named) -> IR:
    graph = IR()
    part = {key.removeprefix("synthesis."): array for key, array in named.items()}
    part.setdefault(
        "conv1.noise", np.zeros((1, 1, 4, 4))
    )  # a missing one leaves a graph that is whole otherwise

    def constant(key: str, name: str, wrap: Callable[[np.ndarray], np.ndarray] = lambda a: a) -> None:
        if key in part:
            graph.constant(wrap(part[key]), f"m.{name}")

    def linear(key: str, name: str) -> None:
        constant(f"{key}.weight", f"{name}.weight")
        constant(f"{key}.bias", f"{name}.bias", lambda a: a[None])

    def styled(key: str) -> None:
        linear(f"{key}.modulation", f"{key}.conv.modulation")
        constant(f"{key}.depthwise.weight", f"{key}.conv.weight_dw", lambda a: a[:, None])
        constant(f"{key}.bias", f"{key}.bias")
        conv = graph.add("Convolution", (graph.add("Multiply"), graph.constant(part[f"{key}.conv.weight"])))
        graph.add("Add", (conv, graph.constant(part[f"{key}.noise"])))

    graph.constant(np.full((4, 1, 2, 1), 0.5**0.5))  # a Haar filter
    constant("constant", "input.input")
    styled("conv1")
    for i in range(7):
        linear(f"layers.{i}.up", f"layers.{i}.up.modulation")
        styled(f"layers.{i}.conv1")
        styled(f"layers.{i}.conv2")
    linear("head.modulation", "layers.6.to_img.conv.modulation")
    constant("head.bias", "layers.6.to_img.bias")
    graph.add("Convolution", (graph.add("Multiply"), graph.constant(part["head.conv.weight"])))
    return graph


def generator_files(network: nn.Module, named: Named, left_over: bool = False) -> dict[str, bytes]:
    mapping, synthesis = mapping_ir(named), synthesis_ir(named)
    if left_over:
        synthesis.constant(np.zeros(3), "of nothing")
    return mapping.files("MappingNetwork") | synthesis.files("SynthesisNetwork")


def mtcnn_files(network: nn.Module, named: Named, left_over: bool = False) -> dict[str, bytes]:
    files = {}
    for part, child in network.named_children():
        own = {key.removeprefix(f"{part}."): a for key, a in named.items() if key.startswith(f"{part}.")}
        files[f"folder/{part}.onnx"] = onnx_file(child, own, left_over and part == "onet")
    return files


def minilm_file(network: nn.Module, named: Named, left_over: bool = False) -> bytes:
    tensors = {key.removeprefix("transformer."): a for key, a in named.items() if key != "tokenizer"}
    tensors |= {"pooler.dense.weight": np.zeros((384, 384), np.float32)} | (
        {"of nothing": np.zeros(3, np.float32)} if left_over else {}
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model.safetensors", safetensors.numpy.save(tensors))
        archive.writestr("tokenizer.json", named.get("tokenizer", np.zeros(0, np.uint8)).tobytes())
    return file.getvalue()


#: Network -> (writer of its carrier's members, one tensor in the middle of it, the last one).
WRITERS: dict[str, tuple[Callable[..., dict[str, bytes]], str, str]] = {
    "mobilestylegan": (generator_files, "synthesis.layers.3.conv2.modulation.weight", "synthesis.head.bias"),
    "mobilefacenet-512": (
        lambda *a, **k: {"package/model/fr_feature.onnx": onnx_file(*a, **k)},
        "blocks.7.body.2.weight",
        "head.3.bias",
    ),
    "mobilefacenet-192": (
        lambda *a, **k: {"assets/MobileFaceNet.tflite": tflite_file(*a, **k)},
        "blocks.7.body.2.weight",
        "head.4.bias",
    ),
    "dlib-resnet29": (
        lambda *a, **k: {"models/dlib_face_recognition_resnet_model_v1.dat": dlib_file(*a, **k)},
        "blocks.7.conv2.weight",
        "fc.weight",
    ),
    "mtcnn": (mtcnn_files, "rnet.dense.0.weight", "onet.face.bias"),
    "landmarks-68": (
        lambda *a, **k: {"package/model/fr_landmark.onnx": onnx_file(*a, **k, normed=True)},
        "blocks.7.body.2.weight",
        "head.4.bias",
    ),
    "minilm": (
        lambda *a, **k: {"all_minilm_l6_v2/model.zip": minilm_file(*a, **k)},
        "transformer.encoder.layer.3.output.dense.weight",
        "tokenizer",
    ),
}


@pytest.fixture(params=WRITERS, scope="module")
def carrier(request: pytest.FixtureRequest) -> tuple[str, Callable[..., dict[str, bytes]], Named]:
    """A network's name, the writer of its files, made-up weights."""
    name: str = request.param
    network, write = build_network(name), WRITERS[name][0]
    return name, lambda named, **k: write(network, named, **k), weights(name)


Carrier = tuple[str, Callable[..., dict[str, bytes]], Named]


def test_conversion_puts_every_tensor_in_its_place(carrier: Carrier) -> None:
    name, write, named = carrier
    state = convert_files(name, write(named))
    build_network(name).load_state_dict(state, strict=True)
    for key in named.keys() - {"mean_latent"}:  # that one is computed, not read
        assert np.array_equal(state[key].numpy(), named[key]), key


def test_a_left_over_tensor_is_refused(carrier: Carrier) -> None:
    name, write, named = carrier
    with pytest.raises(FormatError, match=name):
        convert_files(name, write(named, left_over=True))


@pytest.mark.parametrize("which", [1, 2], ids=["middle", "last"])
def test_a_missing_tensor_is_refused(carrier: Carrier, which: int) -> None:
    name, write, named = carrier
    missing = WRITERS[name][which]
    with pytest.raises(FormatError, match=name):
        convert_files(name, write({key: array for key, array in named.items() if key != missing}))


@pytest.mark.parametrize("which", [1, 2], ids=["middle", "last"])
def test_a_misshapen_tensor_is_refused(carrier: Carrier, which: int) -> None:
    name, write, named = carrier
    key = WRITERS[name][which]
    with pytest.raises(FormatError, match=name):
        convert_files(name, write(named | {key: named[key][:-1]}))


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_a_file_cut_short_is_refused(carrier: Carrier, keep: float) -> None:
    name, write, named = carrier
    files = {path: data[: int(len(data) * keep)] for path, data in write(named).items()}
    with pytest.raises(FormatError, match=name):
        convert_files(name, files)


def test_a_missing_member_is_refused(carrier: Carrier) -> None:
    name, write, named = carrier
    files = write(named)
    del files[next(iter(files))]
    with pytest.raises(FormatError, match=name):
        convert_files(name, files)


def test_a_layer_of_an_unknown_kind_is_refused() -> None:
    network, named = build_network("mobilefacenet-512"), weights("mobilefacenet-512")
    model = onnx.load_from_string(onnx_file(network, named))
    next(node for node in model.graph.node if node.op_type == "Conv").op_type = "ConvTranspose"
    with pytest.raises(FormatError, match="belong to nothing"):
        convert_files("mobilefacenet-512", {"fr_feature.onnx": model.SerializeToString()})


def test_another_version_of_dlibs_tensors_is_refused() -> None:
    data = dlib_file(build_network("dlib-resnet29"), weights("dlib-resnet29"))
    tag = b"\x01\x05con_4"
    data = data.replace(tag + b"\x01\x02", tag + b"\x01\x03", 1)
    with pytest.raises(FormatError, match="version 3"):
        convert_files("dlib-resnet29", {"dlib_face_recognition_resnet_model_v1.dat": data})


@pytest.mark.parametrize("flaw", ["missing", "left over", "misshapen"])
def test_cached_weights_load_strictly(flaw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = MTCNN().state_dict()
    if flaw == "missing":
        del state["rnet.box.bias"]
    elif flaw == "left over":
        state["rnet.box.more"] = torch.zeros(1)
    else:
        state["rnet.box.bias"] = torch.zeros(3)
    monkeypatch.setattr(store, "load", lambda name: state)
    with pytest.raises(FormatError, match=r"(?s)mtcnn.*rnet\.box") as caught:
        load_network("mtcnn")
    assert "\n" not in str(caught.value)  # the rule of engines.errors


def test_a_loaded_network_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_module.store, "load", lambda name: MTCNN().state_dict())
    network = load_network("mtcnn")
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


@pytest.mark.models
@torch.no_grad()
def test_weights_that_only_slow_a_cpu_are_gone_and_nobody_sees_it() -> None:
    published = build_network("mobilefacenet-512")
    published.load_state_dict(store.load("mobilefacenet-512"))
    loaded = load_network("mobilefacenet-512")

    def negligible(network: nn.Module) -> int:
        return sum(int(((p != 0) & (p.abs() < 1e-20)).sum()) for p in network.parameters())

    assert negligible(published) > 100_000
    assert negligible(loaded) == 0
    crops = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert off(loaded(crops), published.eval()(crops)) < 1e-7


def test_only_recognisers_recognise() -> None:
    with pytest.raises(ValueError, match="mtcnn is no recogniser"):
        Recogniser(SPECS["mtcnn"], MTCNN())


# --- the generator -----------------------------------------------------------------------------------


def test_inverse_haar_undoes_the_transform() -> None:
    image = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    a, b, c, d = (image[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1))
    low, vertical, horizontal, diagonal = a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d
    detail = torch.stack((vertical, horizontal, diagonal), dim=2).flatten(1, 2)
    assert torch.allclose(inverse_haar(torch.cat((low, detail), dim=1) / 2), image, atol=1e-12)


@pytest.fixture(scope="module")
def generator(stack: Stack) -> Generator:
    return stack.generator


@pytest.fixture(scope="module")
def w(generator: Generator) -> Tensor:
    return generator.sample_w(5)


@pytest.fixture(scope="module")
@torch.no_grad()
def whole(generator: Generator, w: Tensor) -> Tensor:
    return generator(w)


@pytest.mark.models
@torch.no_grad()
def test_rows_that_do_not_act_change_nothing(generator: Generator, w: Tensor, whole: Tensor) -> None:
    idle = [row for row in range(W_ROWS) if row not in ACTING_ROWS]
    assert len(idle) == 7
    other = w.clone()
    other[:, idle] += 1
    assert torch.equal(generator(other), whole)


@pytest.mark.models
@pytest.mark.parametrize("row", ACTING_ROWS)
@torch.no_grad()
def test_every_acting_row_acts(generator: Generator, w: Tensor, whole: Tensor, row: int) -> None:
    other = w.clone()
    other[:, row] = generator.sample_w(6)[:, row]
    rows, columns = MIDDLE.pixels
    change = generator(other, window=MIDDLE) - whole[:, :, rows, columns]
    assert float(change.abs().mean()) > 1e-3  # an eighth of a step of 8 bits, over all pixels


@pytest.mark.models
@pytest.mark.parametrize(
    "window",
    [MIDDLE, Window(0, 0, 1, 1), Window(63, 63, 64, 64), Window(0, 30, 9, 64), Window(12, 11, 61, 53)],
    ids=str,
)
@torch.no_grad()
def test_a_window_is_a_part_of_the_image(
    generator: Generator, w: Tensor, whole: Tensor, window: Window
) -> None:
    rows, columns = window.pixels
    part = generator(w, window=window)
    assert off(part, whole[:, :, rows, columns]) < 1e-5
    assert float((part - whole[:, :, rows, columns]).abs().max()) < 1e-4  # also at its border


@pytest.mark.models
@torch.no_grad()
def test_default_noise_is_the_published_one(generator: Generator, w: Tensor, whole: Tensor) -> None:
    maps = generator.synthesis.noise_maps()
    assert [m.shape[-1] for m in maps] == [4, *(size for i in range(7) for size in (8 << i, 8 << i))]
    assert torch.equal(generator(w, maps), whole)


@pytest.mark.models
@pytest.mark.parametrize("index", range(15))
@torch.no_grad()
def test_every_noise_map_acts(generator: Generator, w: Tensor, whole: Tensor, index: int) -> None:
    maps = [m.clone() for m in generator.synthesis.noise_maps()]
    maps[index] += torch.randn(maps[index].shape, generator=torch.Generator().manual_seed(index))
    rows, columns = MIDDLE.pixels
    change = generator(w, maps, MIDDLE) - whole[:, :, rows, columns]
    assert float(change.abs().mean()) > 1e-3


@pytest.mark.models
@torch.no_grad()
def test_noise_far_outside_the_window_does_not_reach_it(generator: Generator, w: Tensor) -> None:
    maps = [m.clone() for m in generator.synthesis.noise_maps()]
    maps[-1][:, :, :256] += 1  # the upper half of the image
    window = Window(40, 20, 60, 40)
    assert torch.equal(generator(w, maps, window), generator(w, window=window))


@pytest.mark.models
@torch.no_grad()
def test_sampling_is_deterministic(generator: Generator) -> None:
    w = generator.sample_w(3, 2)
    assert w.shape == (2, 23, 512)
    assert torch.equal(w, generator.sample_w(3, 2))
    assert not torch.equal(w, generator.sample_w(4, 2))
    assert not torch.equal(w[0], w[1])
    assert torch.equal(w, w[:, :1].expand_as(w))
    w.add_(1)  # rows of their own, not views of one


@pytest.mark.models
@torch.no_grad()
def test_truncation_pulls_to_the_mean(generator: Generator) -> None:
    mean, full = generator.mean_latent, generator.sample_w(3, truncation=1.0)
    assert torch.equal(generator.sample_w(3, truncation=0.0), mean.expand(1, 23, 512))
    assert off(generator.sample_w(3, truncation=0.25) - mean, 0.25 * (full - mean)) < 1e-5
    # The mean is that of W: 4,000 draws that it was not made from come within their standard error.
    draws = generator.sample_w(99, 4000, truncation=1.0)[:, 0]
    error = (draws.mean(dim=0) - mean) / (draws.std(dim=0) * (1 / 4000 + 1 / 20_000) ** 0.5)
    assert 0.8 < float(error.square().mean()) < 1.2


@pytest.mark.parametrize("shape", [(1, 512), (1, 22, 512), (1, 23, 511), (23, 512)])
def test_codes_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(N, 23, 512\)"):
        Generator()(torch.zeros(shape))


def test_a_window_is_in_cells_of_16_pixels() -> None:
    assert Window(0, 0, 64, 64).pixels == (slice(0, IMAGE_SIZE), slice(0, IMAGE_SIZE))
    assert Window(1, 2, 3, 4).pixels == (slice(16, 48), slice(32, 64))
    assert Window(1, 2, 63, 62).grown(2) == Window(0, 0, 64, 64)
