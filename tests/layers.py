"""Layers for tests: one instruction's worth of work, assembled in each of the ways that a program can cut it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from assembler import BANKS, Assembler, words_of

from sfopt.arithmetic import AddParams, MulParams
from sfopt_fpga.isa import Axis, ComputeKind, Engine, Opcode
from sfopt_fpga.parameters import pack_channels
from sfopt_fpga.program import Program

DENSE = {"kernel_h": 1, "kernel_w": 1, "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "groups": 1}
F = np.float32
ADD = AddParams(F(0.5), F(0.75), F(-3))
MUL = MulParams(3, -2, F(0.0625), 5)
SCALE = MulParams(-4, 1, F(0.03125), 7)


@dataclass
class Layer:
    """One instruction's worth of work, assembled in one of several ways. Arrays are int8 HWC; `w` is rows x positions x depth."""

    setup: dict[str, int]
    x: np.ndarray
    w: np.ndarray | None = None
    parameters: bytes = b""
    residual: np.ndarray | None = None
    scale: np.ndarray | None = None

    @property
    def full_setup(self) -> dict[str, int]:
        """SETUP fields, sizes of the input included."""
        h, w, c = self.x.shape
        more = {
            "x_height": h,
            "x_width": w,
            "x_channels": c,
            "parameters": BANKS["parameters"],
            "scale": BANKS["scale"],
        }
        if self.residual is not None:
            more["residual_pixel_words"] = words_of(self.residual.shape[2])
        return {**DENSE, **more, "has_scale": int(self.scale is not None), **self.setup}

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """Of the output."""
        return self.setup["out_height"], self.setup["out_width"], self.setup["out_channels"]

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """What to run the program on."""
        return {n: v for n, v in (("x", self.x), ("residual", self.residual), ("scale", self.scale)) if v is not None}

    def start(self) -> Assembler:
        """Blocks in DRAM, whole operands that are not `x`, `residual` and `out` loaded, SETUP."""
        asm = Assembler()
        asm.maps = {n: (v.shape, "inputs") for n, v in self.inputs.items()}
        asm.maps["out"] = (self.out_shape, "outputs")
        if self.parameters:
            asm.constants["parameters"] = self.parameters
            asm.load("parameters", BANKS["parameters"], (1, 1, len(self.parameters)))
        if self.w is not None:
            asm.constants["weights"] = self.w.tobytes()
        if self.scale is not None:
            asm.load("scale", BANKS["scale"], self.scale.shape)
        return asm

    def compute_fields(self, **more: int) -> dict[str, int]:
        """COMPUTE over everything, operands whole."""
        h, _, c = self.x.shape
        oh, _, oc = self.out_shape
        mean = self.setup["kind"] == ComputeKind.GLOBAL_MEAN
        fields = {
            "x_base": BANKS["x"],
            "x_ring": h,
            "x_pixel_words": words_of(c),
            "out_base": BANKS["out"],
            "out_ring": oh,
        }
        fields |= {"out_pixel_words": words_of(oc), "first": h if mean else oh, "channel_first": oc}
        if self.w is not None:
            fields |= {"weights_base": BANKS["weights"], "weights_ring": len(self.w)}
        if self.residual is not None:
            fields |= {"residual_base": BANKS["residual"], "residual_ring": oh}
        return {**fields, **more}

    def load_weights(self, asm: Assembler, **more: Any) -> None:
        """All weights, or a channel tile for each index."""
        if self.w is not None:
            asm.load("weights", BANKS["weights"], self.w.shape, axis=Axis.CHANNELS, **more)

    def frame(self, **more: int) -> Program:
        """Everything once."""
        asm = self.start()
        self.load_weights(asm)
        if self.residual is not None:
            asm.load("residual", BANKS["residual"], self.residual.shape)
        asm.load("x", BANKS["x"], self.x.shape, signal="c")
        asm.emit(Opcode.SETUP, **self.full_setup)
        word = asm.emit(Opcode.COMPUTE, "l", "s", **self.compute_fields(**more))
        asm.trace.append((word, "traced", 0))
        asm.store("out", BANKS["out"], self.out_shape, wait="c")
        return asm.build()

    def tiles(self, tile: int) -> Program:
        """Weights streamed in channel tiles through a ring of two."""
        asm = self.start()
        count = -(-self.out_shape[2] // tile)
        asm.load("x", BANKS["x"], self.x.shape, signal="c")
        asm.emit(Opcode.SETUP, **self.full_setup)
        asm.sync(Engine.COMPUTE, wait=(1, 0), signal=(2, 0))
        asm.emit(Opcode.LOOP, axis=Axis.CHANNELS, count=count, body=2)
        self.load_weights(asm, wait="c", signal="c", ring=2 * tile, first=tile, step=tile)
        fields = self.compute_fields(weights_ring=2 * tile, channel_first=tile, channel_step=tile)
        asm.emit(Opcode.COMPUTE, "l", "l", **fields)
        asm.sync(Engine.LOAD, wait=(2, 0))
        asm.sync(Engine.COMPUTE, signal=(0, 1))
        asm.store("out", BANKS["out"], self.out_shape, wait="c")
        return asm.build()

    def bands(
        self,
        band: int,
        x_rows: tuple[int, int, int],
        *,
        tile: int | None = None,
        setups: Sequence[Mapping[str, int]] = (),
    ) -> Program:
        """Row bands. `x_rows`: rows of x at index 0, at each further one, and of its ring. With `tile`, weights stream per band.

        `setups` are executed in every band before COMPUTE.
        """
        asm = self.start()
        mean = self.setup["kind"] == ComputeKind.GLOBAL_MEAN
        total = self.x.shape[0] if mean else self.out_shape[0]
        count = -(-total // band)
        if tile is None:
            self.load_weights(asm)
        asm.emit(Opcode.SETUP, **self.full_setup)
        asm.sync(Engine.COMPUTE, signal=(1, 0))
        asm.sync(Engine.STORE, signal=(0, 1))
        loop = asm.emit(Opcode.LOOP, axis=Axis.ROWS, count=count)
        first, step, ring = x_rows
        if self.residual is not None:
            asm.load("residual", BANKS["residual"], self.residual.shape, wait="c", first=band, step=band, ring=band)
        wait = "" if self.residual is not None else "c"
        asm.load("x", BANKS["x"], self.x.shape, wait=wait, signal="c", first=first, step=step, ring=ring)
        for setup in setups:
            asm.emit(Opcode.SETUP, **setup)
        more = {"x_ring": ring, "out_ring": 1 if mean else band, "first": band, "step": band, "residual_ring": band}
        if mean:
            asm.emit(Opcode.COMPUTE, "l", "l", **self.compute_fields(**more))
        elif tile is None:
            asm.trace.append((asm.emit(Opcode.COMPUTE, "ls", "ls", **self.compute_fields(**more)), "traced", 0))
        else:
            self._inner(asm, tile, more)
        if not mean:
            rows = {"first": band, "step": band, "ring": band}
            asm.store("out", BANKS["out"], self.out_shape, wait="c", signal="c", **rows)
        asm.words[loop][1]["body"] = len(asm.words) - loop - 1
        asm.sync(Engine.LOAD, wait=(1, 0))
        asm.sync(Engine.COMPUTE, wait=(0, 1), signal=(0, int(mean)))
        if mean:
            asm.store("out", BANKS["out"], self.out_shape, wait="c")
        return asm.build()

    def _inner(self, asm: Assembler, tile: int, more: dict[str, int]) -> None:
        """A loop over channel tiles inside the one over rows; weights in a ring of one tile."""
        tiles = -(-self.out_shape[2] // tile)
        asm.sync(Engine.COMPUTE, wait=(1, 1), signal=(1, 0))
        inner = asm.emit(Opcode.LOOP, axis=Axis.CHANNELS, count=tiles, body=2)
        self.load_weights(asm, wait="c", signal="c", ring=tile, first=tile, step=tile)
        more |= {"weights_ring": tile, "channel_first": tile, "channel_step": tile}
        word = asm.emit(Opcode.COMPUTE, "l", "l", **self.compute_fields(**more))
        asm.trace.append((word, "traced", 0))
        assert asm.words[inner][1]["body"] == 2
        asm.sync(Engine.LOAD, wait=(1, 0))
        asm.sync(Engine.COMPUTE, signal=(1, 1))


def random_int8(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).integers(-128, 128, shape, np.int8)


def channel_constants(channels, seed=0):
    rng = np.random.default_rng(seed)
    bias = rng.integers(-2000, 2000, channels, np.int32)
    return bias, (rng.random(channels) * 0.01).astype(F)


def conv_layer(h=7, w=6, c=5, oc=7, kernel=(3, 3), stride=(1, 1), dilation=(1, 1), pad=(1, 1), groups=1, **more):
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [(n + 2 * p - e) // s + 1 for n, p, e, s in zip((h, w), pad, extent, stride, strict=True)]
    setup = {"kind": ComputeKind.CONV, "kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride[0]}
    setup |= {"stride_w": stride[1], "dilation_h": dilation[0], "dilation_w": dilation[1], "pad_top": pad[0]}
    setup |= {"pad_left": pad[1], "groups": groups, "out_height": size[0], "out_width": size[1], "out_channels": oc}
    setup |= {"out_zero": -5, "pad_value": 9, **more}
    weights = random_int8(oc, kernel[0] * kernel[1], c // groups, seed=1)
    return Layer(setup, random_int8(h, w, c), weights, pack_channels(*channel_constants(oc)))


def input_schedule(setup, x_height, band):
    """Rows at index 0, at each further index, and of the smallest ring: as the planner has them."""
    extent = (setup["kernel_h"] - 1) * setup["dilation_h"] + 1
    first = max(1, (band - 1) * setup["stride_h"] + extent - setup.get("pad_top", 0))
    return first, band * setup["stride_h"], min(x_height, (band - 1) * setup["stride_h"] + extent)


def copy_layer(parameters=b"", **setup):
    shape = {"out_height": 6, "out_width": 5, "out_channels": 7}
    return Layer({"kind": ComputeKind.COPY, **shape, **setup}, random_int8(6, 5, 7), parameters=parameters)
