"""ONNX models in and out of the Graph. No other module imports `onnx`."""

from sfopt.onnx_io.read import read_onnx
from sfopt.onnx_io.write import write_onnx

__all__ = ["read_onnx", "write_onnx"]
