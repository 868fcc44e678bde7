"""Networks that the benchmarks and the slow tests build: architectures with seeded random weights, nothing downloaded."""

from .zoo import NETWORKS, build_onnx

__all__ = ["NETWORKS", "build_onnx"]
