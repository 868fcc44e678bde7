"""Makes the `torch_*.onnx` files beside this script: small networks of our own, as PyTorch's two exporters write them.

    python tests/data/torch_exports.py [FOLDER]

The files were made with torch 2.13.0+cpu, onnxscript 0.7.2, onnx-ir 1.1.0 and onnx 1.23.2; the tests read them, so they need none
of these. `*_script.onnx` come from `torch.onnx.export(dynamo=False)`, the exporter that traces TorchScript, at opset 17;
`*_dynamo.onnx` from `torch.onnx.export(dynamo=True)` at the opset of its own choice. `residual` has a dynamic batch, the others one
image. Weights are seeded random numbers.

`fake_quant` is what training aware of quantisation leaves behind: `torch.fake_quantize_per_tensor_affine` around every operator and
`torch.fake_quantize_per_channel_affine` on weights, with frozen scales. Activations are unsigned of 8 bits, weights -128..127;
`fake_quant_reduced` has activations of 7 bits, 0..127. Both exporters write them as pairs of QuantizeLinear and DequantizeLinear.
"""

import sys
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional

HERE = Path(__file__).parent


class Residual(nn.Module):
    """ResNet's basic blocks, one with a projection, and a classifier behind `view`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 7, 2, 3, bias=False), nn.BatchNorm2d(12), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.first = self._branch(12, 12, 1)
        self.second = self._branch(12, 20, 2)
        self.projection = nn.Sequential(nn.Conv2d(12, 20, 1, 2, bias=False), nn.BatchNorm2d(20))
        self.head = nn.Linear(20, 10)

    def _branch(self, inputs: int, outputs: int, stride: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (1, 10) of images (1, 3, H, W)."""
        x = self.pool(self.stem(x))
        x = functional.relu(x + self.first(x))
        x = functional.relu(self.projection(x) + self.second(x))
        x = functional.adaptive_avg_pool2d(x, 1)
        return self.head(x.view(x.size(0), -1))


class Mobile(nn.Module):
    """MobileNetV3's block: expand, depthwise, squeeze and excite, project; hard swish, hard sigmoid, ReLU6."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.expand = nn.Sequential(nn.Conv2d(8, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(24, 24, 5, 1, 2, groups=24, bias=False), nn.BatchNorm2d(24), nn.Hardswish()
        )
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 8, 1), nn.ReLU(), nn.Conv2d(8, 24, 1), nn.Hardsigmoid()
        )
        self.project = nn.Sequential(nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (1, 10) of images (1, 3, H, W)."""
        x = self.stem(x)
        y = self.depthwise(self.expand(x))
        x = x + self.project(y * self.squeeze(y))
        return self.head(x.mean([2, 3]))


class SuperResolution(nn.Module):
    """Pixel shuffle beside nearest and bilinear upsampling of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 12, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.merge = nn.Conv2d(9, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(1, 3, 2 H, 2 W) of (1, 3, H, W)."""
        y = self.shuffle(self.second(functional.leaky_relu(self.first(x), 0.1)))
        near = functional.interpolate(x, scale_factor=2, mode="nearest")
        smooth = functional.interpolate(x, size=y.shape[2:], mode="bilinear", align_corners=False)
        return self.merge(torch.cat([y, near, smooth], dim=1))


class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of (N, C, H, W)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised `x`."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    """Depthwise 7 x 7, LayerNorm, two dense layers with GELU between, a scale for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.expand, self.project = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As ConvNeXt's own code: channels last in the middle."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.project(functional.gelu(self.expand(y)))
        return x + y.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """A stem of patches, two blocks, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 4, 4), LayerNorm2d(12, eps=1e-6))
        self.blocks = nn.Sequential(ConvNextBlock(12), ConvNextBlock(12))
        self.norm, self.head = nn.LayerNorm(12, eps=1e-6), nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (1, 10) of images (1, 3, H, W)."""
        return self.head(self.norm(self.blocks(self.stem(x)).mean([-2, -1])))


class Segmentation(nn.Module):
    """A U-Net of one step: transposed convolution, concatenation, PReLU, silu."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, 1)
        self.act = nn.PReLU(16)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.wide = nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False)
        self.head = nn.Conv2d(24, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(1, 4, H, W) of (1, 3, H, W)."""
        x = functional.silu(self.down(x))
        y = self.act(self.deep(x))
        return self.head(torch.cat([x, self.up(y), self.wide(y)], 1))


class Dense(nn.Module):
    """DenseNet's and ShuffleNet's: chunk, channel shuffle by `view`, BatchNorm in front, average pooling, `flatten`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.grow = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.halves = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.pool = nn.AvgPool2d(3, 2, 1, ceil_mode=True)
        self.head = nn.Linear(16 * 5 * 5, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (1, 10) of images (1, 3, 18, 18)."""
        x = self.stem(x)
        x = torch.cat([x, self.grow(torch.relu(self.norm(x)))], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        a, b = x.chunk(2, 1)
        x = self.pool(torch.cat([a * 2.0 - 0.5, self.halves(b)], dim=1))
        return self.head(torch.flatten(x, 1))


class FakeQuantised(nn.Module):
    """A residual network with every operand rounded, as training aware of quantisation leaves it."""

    def __init__(self, highest: int) -> None:
        super().__init__()
        self.highest = highest
        self.first, self.second = nn.Conv2d(3, 12, 3, 2, 1), nn.Conv2d(12, 12, 3, padding=1)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False)
        self.head = nn.Linear(12, 10)

    def _rounded(self, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
        scale = (high - low) / self.highest
        return torch.fake_quantize_per_tensor_affine(x, scale, round(-low / scale), 0, self.highest)

    def _weights(self, w: torch.Tensor) -> torch.Tensor:
        scale = w.detach().abs().flatten(1).amax(1) / 127
        zero_points = torch.zeros(w.shape[0], dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(w, scale, zero_points, 0, -128, 127)

    def _conv(self, layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(
            x, self._weights(layer.weight), layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (1, 10) of images (1, 3, H, W)."""
        x = self._rounded(x, -3.0, 3.0)
        x = self._rounded(functional.relu(self._conv(self.first, x)), 0.0, 2.5)
        y = self._rounded(functional.hardswish(self._conv(self.second, x)), -0.38, 2.0)
        y = self._rounded(self._conv(self.depthwise, y), -1.5, 1.5)
        x = self._rounded(functional.relu(x + y), 0.0, 3.0)
        x = self._rounded(functional.adaptive_avg_pool2d(x, 1), 0.0, 1.5)
        x = functional.linear(torch.flatten(x, 1), self._weights(self.head.weight), self.head.bias)
        return self._rounded(x, -2.0, 2.0)


NETWORKS = {
    "residual": (Residual, 32),
    "mobile": (Mobile, 32),
    "super_resolution": (SuperResolution, 12),
    "convnext": (ConvNext, 32),
    "segmentation": (Segmentation, 16),
    "dense": (Dense, 18),
    "fake_quant": (lambda: FakeQuantised(255), 24),
    "fake_quant_reduced": (lambda: FakeQuantised(127), 24),
}
"""Network and the side of its images."""


def build(name: str) -> tuple[nn.Module, torch.Tensor]:
    """The network with seeded weights and settled statistics, and an image."""
    make, side = NETWORKS[name]
    torch.manual_seed(sum(name.encode()))
    network = make()
    with torch.no_grad():
        for _ in range(20):  # moves the averages of BatchNorm towards what it sees
            network.train()(torch.randn(4, 3, side, side))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.7, 1.3)
                module.bias.uniform_(-0.3, 0.3)
    return network.eval(), torch.randn(1, 3, side, side)


def forget_sources(path: Path) -> None:
    """Take out where in whose files each operator was written, which the exporter keeps as metadata."""
    model = onnx.load(path)
    graph, functions = model.graph, model.functions
    parts = [model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer]
    for part in (*parts, *functions, *(node for f in functions for node in f.node)):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def main() -> None:
    """Write every file."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name in NETWORKS:
        network, image = build(name)
        names = {"input_names": ["image"], "output_names": ["result"]}
        script, dynamo = names, names
        if name == "residual":
            script = {**names, "dynamic_axes": {"image": {0: "batch"}, "result": {0: "batch"}}}
            dynamo = {**names, "dynamic_shapes": ({0: torch.export.Dim("batch", min=1, max=64)},)}
            image = torch.randn(2, *image.shape[1:])  # one image would be taken for a fixed batch
        target = folder / f"torch_{name}"
        torch.onnx.export(network, (image,), f"{target}_script.onnx", dynamo=False, opset_version=17, **script)
        torch.onnx.export(network, (image,), f"{target}_dynamo.onnx", dynamo=True, external_data=False, **dynamo)
        for exporter in ("script", "dynamo"):
            forget_sources(Path(f"{target}_{exporter}.onnx"))


if __name__ == "__main__":
    main()
