"""What was published about each network: the number of its parameters and of its multiply-accumulates."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PUBLISHED", "Published"]

_TORCHVISION = "torchvision.models, weights' meta data"


@dataclass(frozen=True)
class Published:
    """`parameters` is exact. `macs` is rounded as in its source, at an input of `side`; None where no source is known that counts
    each multiplication once.
    """

    parameters: int
    macs: float | None
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
    "densenet121": Published(7_978_856, 2.834e9, 224, _TORCHVISION),
    "mobilenet_v2": Published(3_504_872, 0.301e9, 224, _TORCHVISION),
    "mobilenet_v3_large": Published(5_483_032, 0.217e9, 224, _TORCHVISION),
    "mobilenet_v3_small": Published(2_542_856, 0.057e9, 224, _TORCHVISION),
    "efficientnet_b0": Published(5_288_548, 0.386e9, 224, _TORCHVISION),
    "efficientnet_b1": Published(7_794_184, 0.687e9, 240, _TORCHVISION),
    "efficientnet_b2": Published(9_109_994, 1.088e9, 288, _TORCHVISION),
    "efficientnet_b3": Published(12_233_232, 1.827e9, 300, _TORCHVISION),
    "efficientnet_b4": Published(19_341_616, 4.394e9, 380, _TORCHVISION),
    "efficientnet_b5": Published(30_389_784, 10.266e9, 456, _TORCHVISION),
    "efficientnet_b6": Published(43_040_704, 19.068e9, 528, _TORCHVISION),
    "efficientnet_b7": Published(66_347_960, 37.746e9, 600, _TORCHVISION),
    # With projection shortcuts, as pytorch-cifar-models counts them.
    "resnet20": Published(272_474, 40.81e6, 32, "github.com/chenyaofo/pytorch-cifar-models"),
    "shufflenet_v2": Published(2_278_604, 0.145e9, 224, _TORCHVISION),
    "squeezenet": Published(1_235_496, 0.349e9, 224, _TORCHVISION),
    "vgg16": Published(138_357_544, 15.47e9, 224, _TORCHVISION),
    # The parameters that Keras's summary of the model calls trainable.
    "mobilenet_v1": Published(4_231_976, 0.569e9, 224, "keras.applications; arXiv:1704.04861, table 4"),
    "inception_v3": Published(23_817_352, 5.713e9, 299, "keras.applications; torchvision.models"),
    "resnet50_v2": Published(25_568_360, None, 224, "keras.applications"),
    # Parameters: size of the weights file less its header of 16 or 20 bytes (203934260, 248007048 and 35434956 bytes), over 4.
    # MACs: half of the BFLOPs there (62.94 at 608, 65.86 and 5.56).
    "yolov2": Published(50_983_561, 31.47e9, 608, "pjreddie.com/darknet/yolo", statistics=True),
    "yolov3": Published(62_001_757, 32.93e9, 416, "pjreddie.com/darknet/yolo", statistics=True),
    "yolov3_tiny": Published(8_858_734, 2.78e9, 416, "pjreddie.com/darknet/yolo", statistics=True),
    # detectron2, tests/test_model_analysis.py, has both figures; batch normalisation's 53120 parameters do not count there.
    "retinanet": Published(37_915_572 + 53_120 + 26_560, 146e9, 800, "detectron2, retinanet_R_50_FPN_1x"),
    # arXiv:1911.09070, table 2, and the number of trainable parameters that loading the published weights asserts.
    "efficientdet_d0": Published(3_880_067, 2.5e9, 512, "arXiv:1911.09070, table 2; google/automl"),
    "efficientdet_d1": Published(6_625_898, 6.1e9, 640, "arXiv:1911.09070, table 2; google/automl"),
    "convnext_tiny": Published(28_589_128, 4.456e9, 224, _TORCHVISION),
    "unet": Published(31_037_698, None, 256, "github.com/milesial/Pytorch-UNet"),
}
