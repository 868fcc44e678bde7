"""Random COMPUTE instructions in which one size is as large as its field, and the others so small that each case stays short."""

from math import log2
from typing import Any

from rtl_compute_cases import WINDOWED, Case, Maker, NoRoomError

from sfopt_fpga.isa import MEAN_CHANNELS, ComputeKind

__all__ = ["LargeMaker"]

MOST = (1 << 16) - 1
MOST_KERNEL = 63
MOST_PIXEL_WORDS = 1000
PASSES = 1500
"""Words of input by vectors of output channels that a convolution of many channels takes."""
ROWS = 300
"""Of a band, for windows."""
MOST_CYCLES = 140_000
SMALL = 3000
"""Beyond it, the other side is one pixel, which is one word."""


class LargeMaker(Maker):
    """Sizes are spread over their orders of magnitude, and often the largest."""

    large = "height"

    def make(self, *kinds: ComputeKind) -> Case:
        made = super().make(*kinds)
        if sum(made.computes) > MOST_CYCLES:
            raise NoRoomError
        return made

    def size(self, most: int) -> int:
        """1 to `most`: often that, else each number of bits as often as the others."""
        if self.rng.random() < 0.15:
            return most
        return min(most, max(1, int(2 ** self.rng.uniform(0, log2(most + 1)))))

    def geometry(self) -> dict[str, int]:
        kind = self.kind
        more = [*(["kernel"] if kind in WINDOWED else []), *(["groups"] * 2 if kind is ComputeKind.CONV else [])]
        self.large = self.pick("height", "width", "channels", *more)
        s: dict[str, Any] = {"kind": int(kind), "groups": 1}
        s["x_height"] = self.size(MOST) if self.large == "height" else self.upto(1, 3)
        s["x_width"] = self.size(MOST) if self.large == "width" else self.upto(1, 3)
        s["x_channels"] = self.channels()
        if s["x_height"] > SMALL:
            s["x_width"], s["x_channels"] = 1, self.upto(1, self.lanes)
        elif s["x_width"] > SMALL:
            s["x_height"], s["x_channels"] = self.upto(1, 2), self.upto(1, self.lanes)
        s["out_height"], s["out_width"], s["out_channels"] = s["x_height"], s["x_width"], s["x_channels"]
        if kind in WINDOWED:
            for axis in ("h", "w"):
                self.window(s, axis)
            if kind is ComputeKind.AVERAGE_POOL:
                s["include_pad"] = self.upto(0, 1)
                if (s["kernel_h"], s["kernel_w"]) == (s["x_height"], s["x_width"]):
                    raise NoRoomError  # could be a global mean
        if kind is ComputeKind.CONV:
            self.convolution(s)
        if kind is ComputeKind.RESIZE:
            for axis, side in (("h", "height"), ("w", "width")):
                s[f"stride_{axis}"] = self.size(min(MOST_KERNEL, max(1, MOST // s[f"x_{side}"])))
                s[f"out_{side}"] = s[f"x_{side}"] * s[f"stride_{axis}"]
        if kind is ComputeKind.GLOBAL_MEAN:
            s["out_height"] = s["out_width"] = 1
        s["pad_value"] = self.upto(-128, 127)
        s["out_zero"] = self.upto(-128, 127) if kind in (*WINDOWED[:2], ComputeKind.GLOBAL_MEAN) else 0
        return s

    def channels(self) -> int:
        if self.large != "channels":
            return self.upto(1, 2 * self.lanes)
        most = MEAN_CHANNELS if self.kind is ComputeKind.GLOBAL_MEAN else self.lanes * MOST_PIXEL_WORDS
        return self.size(most)

    def window(self, s: dict[str, int], axis: str) -> None:
        """A kernel that reaches beyond both ends where it is large, else a small one."""
        size = s["x_height" if axis == "h" else "x_width"]
        average = self.kind is ComputeKind.AVERAGE_POOL
        if self.large == "kernel":
            kernel, stride = self.size(MOST_KERNEL), self.size(MOST_KERNEL)
            dilation = 1 if average else self.size(MOST_KERNEL)
            low = self.size(min(kernel, MOST_KERNEL)) - 1 if average else self.size(MOST_KERNEL)
        else:
            kernel, dilation, stride, low = self.upto(1, 3), 1, self.upto(1, 3), 0
        extent = (kernel - 1) * dilation + 1
        high = max(0, extent - size - low) + (0 if average or size > SMALL else self.upto(0, 2))
        s |= {f"kernel_{axis}": kernel, f"dilation_{axis}": dilation, f"stride_{axis}": stride}
        s["pad_top" if axis == "h" else "pad_left"] = low
        s["out_height" if axis == "h" else "out_width"] = (size + low + high - extent) // stride + 1

    def convolution(self, s: dict[str, int]) -> None:
        """Channels and groups of which no more passes come than are soon done."""
        words = self._words(s["x_channels"])
        most = 2 * self.device.lanes_out
        if self.large == "channels":
            most = min(self.lanes * MOST_PIXEL_WORDS, self.device.lanes_out * max(1, PASSES // words))
        s["out_channels"] = self.size(most)
        if self.large == "groups":
            s["groups"] = self.size(PASSES)
            for name in ("x_channels", "out_channels"):
                s[name] = s["groups"] * self.size(max(1, min(4, self.lanes * MOST_PIXEL_WORDS // s["groups"])))

    def split(self, s: dict[str, int]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        mean = self.kind is ComputeKind.GLOBAL_MEAN
        rows, channels = s["x_height"] if mean else s["out_height"], s["out_channels"]
        most = ROWS if self.kind in WINDOWED else rows
        bands = (min(rows, 4), 0, 1) if rows <= 4 else self.cut(rows, -(-rows // 5) if mean else 1, most)
        tiles = (channels, 0, 1)
        if self.rng.random() < 0.3 and not mean:
            tiles = self.cut(channels, -(-channels // 6), channels)
        return bands, tiles

    def cut(self, total: int, least: int, most: int) -> tuple[int, int, int]:
        """A first part of any size, then steps from `least` to `most`."""
        first, step = self.size(total), max(least, self.size(min(total, max(least, most))))
        return first, step, 1 + -(-(total - first) // step)

    def whole(self, bands: tuple[int, int, int]) -> bool:
        return self.kind is ComputeKind.GLOBAL_MEAN or (bands[2] == 1 and bands[0] <= ROWS)

    def band(self, bands: tuple[int, int, int]) -> int:
        """Of windows, not the first where it may be a large one."""
        return self.upto(min(1 if self.kind in WINDOWED else 0, bands[2] - 1), bands[2] - 1)

    def room(self, rows: int) -> int:
        return self.pick(self.upto(0, rows), self.size(MOST) - 1)
