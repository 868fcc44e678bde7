"""Networks that the benchmarks and the slow tests build: architectures with seeded random weights, nothing downloaded."""

from .chains import chain_resnet
from .figures import PUBLISHED, Published
from .zoo import GRAPHS, NETWORKS, build_keras, build_onnx

__all__ = ["GRAPHS", "NETWORKS", "PUBLISHED", "Published", "build_keras", "build_onnx", "chain_resnet"]
