"""ONNX models in and out of the Graph. No other module imports `onnx`."""

from sfopt.onnx_io.annotate import Notes, annotate_onnx
from sfopt.onnx_io.read import read_onnx
from sfopt.onnx_io.write import write_onnx

__all__ = ["Notes", "annotate_onnx", "read_onnx", "write_onnx"]
