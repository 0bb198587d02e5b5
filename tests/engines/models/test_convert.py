"""No tensor is lost in conversion: files of the real formats, with weights made up here."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import flatbuffers
import numpy as np
import onnx
import pytest
import safetensors.numpy
import tflite
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from engines.errors import FormatError
from engines.models.convert import build_network, convert_files

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
