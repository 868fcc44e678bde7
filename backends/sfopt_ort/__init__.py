"""The oracle: the integer graph written as an ONNX model of ours and run by ONNX Runtime."""

from sfopt_ort.export import model_bytes, to_onnx_graph
from sfopt_ort.run import OrtBackend, OrtModel, accelerator_part, integer_tensors, run

__all__ = ["OrtBackend", "OrtModel", "accelerator_part", "integer_tensors", "model_bytes", "run", "to_onnx_graph"]
