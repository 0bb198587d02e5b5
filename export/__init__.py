"""Networks turned into ONNX and TensorRT files."""
