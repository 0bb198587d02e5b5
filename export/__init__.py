"""Exports networks as ONNX and TensorRT files."""
