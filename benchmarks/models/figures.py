"""What was published about each network: the number of its parameters and of its multiply-accumulates."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PUBLISHED", "Published"]

_TORCHVISION = "torchvision.models, weights' meta data"


@dataclass(frozen=True)
class Published:
    """`parameters` is exact. `macs` is rounded as in its source, at an input of `side`."""

    parameters: int
    macs: float
    side: int | tuple[int, int]
    source: str
    statistics: bool = False
    """Whether the moving means and variances of batch normalisation count as parameters."""


PUBLISHED: Mapping[str, Published] = {
    # Trainable parameters as torchvision counts them, and where a second number is added, the biases that only Keras's ResNets have
    # in front of batch normalisation. MACs of the original, which strides in the first 1 x 1 convolution of a block
    # as Keras does (torchvision strides in the 3 x 3): He et al., arXiv:1512.03385, table 1.
    "resnet18": Published(11_689_512, 1.814e9, 224, _TORCHVISION),
    "resnet34": Published(21_797_672, 3.664e9, 224, _TORCHVISION),
    "resnet50": Published(25_557_032 + 26_560, 3.8e9, 224, "torchvision.models; arXiv:1512.03385, table 1"),
    "resnet101": Published(44_549_160 + 52_672, 7.6e9, 224, "torchvision.models; arXiv:1512.03385, table 1"),
    "resnet152": Published(60_192_808 + 75_712, 11.3e9, 224, "torchvision.models; arXiv:1512.03385, table 1"),
    "mobilenet_v2": Published(3_504_872, 0.301e9, 224, _TORCHVISION),
    "efficientnet_b0": Published(5_288_548, 0.386e9, 224, _TORCHVISION),
    "efficientnet_b1": Published(7_794_184, 0.687e9, 240, _TORCHVISION),
    "squeezenet": Published(1_235_496, 0.349e9, 224, _TORCHVISION),
    # Parameters: size of the weights file, 248007048 bytes, less 20 bytes of header, over 4. MACs: half of darknet's 65.86 BFLOPs.
    "yolov3": Published(62_001_757, 32.93e9, 416, "pjreddie.com/darknet/yolo", statistics=True),
    # detectron2, tests/test_model_analysis.py, has both figures; batch normalisation's 53120 parameters do not count there.
    "retinanet": Published(37_915_572 + 53_120 + 26_560, 146e9, 800, "detectron2, retinanet_R_50_FPN_1x"),
    # arXiv:1911.09070, table 2, and the number of trainable parameters that loading the published weights asserts.
    "efficientdet_d0": Published(3_880_067, 2.5e9, 512, "arXiv:1911.09070, table 2; google/automl"),
}
