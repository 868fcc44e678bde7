"""Random COMPUTE instructions with everything they need in a scratchpad, and what the simulator makes of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sfopt.arithmetic import AddParams, AveragePoolParams, MulParams
from sfopt.device import Device
from sfopt_fpga.compute import Computer, compute_span
from sfopt_fpga.heavy import input_rows
from sfopt_fpga.isa import Binary, ComputeKind, Engine, Opcode, decode, encode
from sfopt_fpga.memory import Rows, Scratchpad
from sfopt_fpga.order import Access
from sfopt_fpga.parameters import pack_average, pack_binary, pack_channels, pack_scale, pack_table
from sfopt_fpga.sequencer import Step, rows_of
from sfopt_fpga.timing import compute_instruction_cycles

WINDOWED = (ComputeKind.CONV, ComputeKind.DEPTHWISE, ComputeKind.MAX_POOL, ComputeKind.AVERAGE_POOL)


@dataclass(frozen=True)
class Part:
    """A SETUP, perhaps a PHASE, a COMPUTE and the (row, channel) loop indices at which it runs."""

    setup: dict[str, int]
    phase: dict[str, int]
    compute: dict[str, int]
    steps: list[tuple[int, int]]


@dataclass(frozen=True)
class Case:
    """Instructions with their loop indices, the scratchpad before and after them, the modelled cycles of each COMPUTE.

    `regions`: (first word, words) of what the operands were given.
    """

    parts: list[Part]
    words: list[bytes]
    indices: list[tuple[int, int]]
    before: npt.NDArray[np.int8]
    after: npt.NDArray[np.int8]
    computes: list[int]
    regions: list[tuple[int, int]]


class Maker:
    """Makes one case. Operands that stream get banks of their own, parameters lie in any that is left."""

    def __init__(self, rng: np.random.Generator, device: Device, *, shallow: bool = False) -> None:
        """`shallow`: convolutions of few channels, whose kernel columns share passes where there are enough pixels."""
        self.rng, self.device, self.shallow = rng, device, shallow
        self.lanes = device.lanes_in
        self.bank_words = device.bank_bytes // device.lanes_in
        self.scratchpad = Scratchpad(device)
        self.scratchpad.data[:] = rng.integers(-128, 128, self.scratchpad.data.shape, np.int8)
        self.load = Access(Step(0, Opcode.LOAD, {}, (0, 0)), Engine.LOAD, (1, 0, 0))
        self.kind = ComputeKind.COPY
        self.phase = dict[str, int]()
        self.banks = list(range(device.banks))
        self.regions: list[tuple[int, int]] = []

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def upto(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def make(self, *kinds: ComputeKind) -> Case:
        """A case of these operations, one behind the other. Raises NoRoomError when their operands do not fit."""
        parts = [self.part(kind) for kind in kinds]
        before = self.scratchpad.data.copy()
        computer, words, indices, cycles = (
            Computer(self.scratchpad),
            list[bytes](),
            list[tuple[int, int]](),
            list[int](),
        )
        for part in parts:
            words.append(encode(Opcode.SETUP, part.setup))
            indices.append((0, 0))
            computer.configure(Step(0, Opcode.SETUP, decode(words[-1])[1], (0, 0)))
            if part.phase:
                words.append(encode(Opcode.PHASE, part.phase))
                indices.append((0, 0))
                computer.interleave(Step(0, Opcode.PHASE, decode(words[-1])[1], (0, 0)))
            word = encode(Opcode.COMPUTE, part.compute)
            for index in part.steps:
                words.append(word)
                indices.append(index)
                step = Step(1, Opcode.COMPUTE, decode(word)[1], index)
                computer.run(Access(step, Engine.COMPUTE, (1, len(words), 0)))
                rows, channels = compute_span(step, computer.setup)
                geometry = {**computer.setup, **computer.phase}
                cycles.append(compute_instruction_cycles(geometry, step.fields, rows, channels, self.device))
        return Case(parts, words, indices, before, self.scratchpad.data.copy(), cycles, self.regions)

    def part(self, kind: ComputeKind) -> Part:
        self.kind = kind
        setup = self.geometry()
        bands, tiles = self.split(setup)
        setup |= self.post()
        # In rings that hold the rows of one band, one band is run.
        whole = self.whole(bands)
        rows = list(range(bands[2])) if whole else [self.band(bands)]
        self.phase = {"row_step": self.upto(1, 9), "row_first": self.upto(0, 9)} if self.rng.random() < 0.2 else {}
        compute = self.operands(setup, bands, rows, tiles, whole=whole)
        return Part(setup, self.phase, compute, [(r, c) for r in rows for c in range(tiles[2])])

    def whole(self, bands: tuple[int, int, int]) -> bool:
        """Whether all bands are run."""
        return self.kind is ComputeKind.GLOBAL_MEAN or self.rng.random() < 0.5

    def band(self, bands: tuple[int, int, int]) -> int:
        """The one that is run otherwise."""
        return self.upto(0, bands[2] - 1)

    def geometry(self) -> dict[str, int]:
        rng, kind = self.rng, self.kind
        small = rng.random() < 0.5 and not self.shallow
        s: dict[str, int] = {"kind": int(kind), "groups": 1}
        s["x_height"], s["x_width"] = self.upto(1, 7 if small else 24), self.upto(1, 7 if small else 24)
        s["x_channels"] = self.pick(self.upto(1, 3 * self.lanes), self.lanes, 2 * self.lanes, self.upto(1, self.lanes))
        s["out_height"], s["out_width"] = s["x_height"], s["x_width"]
        s["out_channels"] = s["x_channels"]
        if kind in WINDOWED:
            for axis, size in (("h", s["x_height"]), ("w", s["x_width"])):
                kernel, dilation = self.pick(1, 1, 2, 3, 3, 5), self.pick(1, 1, 1, 2, 3)
                if self.shallow:
                    kernel = self.upto(1, 7)
                extent = (kernel - 1) * dilation + 1
                low, high = (self.upto(0, kernel // 2 + 1) for _ in range(2))
                while size + low + high < extent:
                    low, high = low + 1, high + 1
                stride = self.pick(1, 1, 2, 3) if not self.shallow else dilation * self.pick(1, 1, 2)
                s |= {f"kernel_{axis}": kernel, f"dilation_{axis}": dilation, f"stride_{axis}": stride}
                s["pad_top" if axis == "h" else "pad_left"] = low
                s["out_height" if axis == "h" else "out_width"] = (size + low + high - extent) // stride + 1
            if kind == ComputeKind.AVERAGE_POOL:
                s["include_pad"] = self.upto(0, 1)
                if (s["kernel_h"], s["kernel_w"]) == (s["x_height"], s["x_width"]):
                    raise NoRoomError  # could be a global mean
        if kind == ComputeKind.CONV:
            s["out_channels"] = self.pick(self.upto(1, 3 * self.device.lanes_out), self.device.lanes_out)
            if self.shallow:
                s["x_channels"] = self.upto(1, self.lanes // 2)
            elif rng.random() < 0.3:
                s["groups"] = self.pick(self.upto(2, 4), self.upto(5, 40))
                s["x_channels"] = s["groups"] * self.upto(1, max(1, 2 * self.lanes // s["groups"]))
                s["out_channels"] = s["groups"] * self.upto(1, max(1, 3 * self.device.lanes_out // s["groups"]))
        if kind == ComputeKind.RESIZE:
            s["x_height"], s["x_width"] = self.upto(1, 6), self.upto(1, 6)
            s["stride_h"], s["stride_w"] = self.upto(1, 4), self.upto(1, 4)
            s["out_height"], s["out_width"] = s["x_height"] * s["stride_h"], s["x_width"] * s["stride_w"]
        if kind == ComputeKind.GLOBAL_MEAN:
            s["out_height"] = s["out_width"] = 1
        s["pad_value"] = self.upto(-128, 127)
        s["out_zero"] = self.upto(-128, 127) if kind in (*WINDOWED[:2], ComputeKind.GLOBAL_MEAN) else 0
        return s

    def split(self, s: dict[str, int]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """(first, step, count) of rows and of channels."""
        total = s["x_height"] if self.kind is ComputeKind.GLOBAL_MEAN else s["out_height"]
        rows = self._cut(total)
        channels = (s["out_channels"], 0, 1)
        if self.rng.random() < 0.3 and self.kind is not ComputeKind.GLOBAL_MEAN:
            channels = self._cut(s["out_channels"])
        return rows, channels

    def _cut(self, total: int) -> tuple[int, int, int]:
        if self.rng.random() < 0.4:
            return total, 0, 1
        first, step = self.upto(1, total), self.upto(1, total)
        return first, step, 1 + -(-(total - first) // step)

    def post(self) -> dict[str, int]:
        return {
            "has_scale": int(self.rng.random() < 0.25),
            "has_table0": int(self.rng.random() < 0.3),
            "binary": int(self.pick(0, 0, 1, 2)),
            "has_table1": int(self.rng.random() < 0.3),
            "swapped": self.upto(0, 1),
        }

    def region(self, words: int) -> int:
        """First word of a run of free banks that holds `words` words, at a random place in them; they are taken."""
        count = -(-words // self.bank_words)
        runs = [b for b in self.banks if all(b + i in self.banks for i in range(count))]
        if not runs:
            raise NoRoomError
        bank = runs[int(self.rng.integers(len(runs)))]
        self.banks = [b for b in self.banks if not bank <= b < bank + count]
        self.regions.append((bank * self.bank_words + self.upto(0, count * self.bank_words - words), words))
        return self.regions[-1][0]

    def operands(
        self,
        s: dict[str, int],
        bands: tuple[int, int, int],
        row_steps: list[int],
        tiles: tuple[int, int, int],
        *,
        whole: bool,
    ) -> dict[str, int]:
        rng, mean = self.rng, self.kind is ComputeKind.GLOBAL_MEAN
        total = s["x_height"] if mean else s["out_height"]
        spans = [rows_of(bands[0], bands[1], total, i) for i in row_steps]
        needed = [input_rows(s, span) for span in spans if span[0] < span[1]]
        x_ring = s["x_height"] if whole else self._ring(needed, s["x_height"])
        out_ring = 1 if mean else s["out_height"]
        if not whole and not mean:
            out_ring = min(s["out_height"], max(b - a for a, b in spans) + self.room(2))
        offset = (
            self.pick(0, 0, self.upto(0, 2 * self.lanes)) if self.kind is ComputeKind.COPY or rng.random() < 0.2 else 0
        )
        c = {"x_ring": x_ring, "out_ring": out_ring, "out_channel": offset}
        c |= {"first": bands[0], "step": bands[1], "channel_first": tiles[0], "channel_step": tiles[1]}
        x_words, out_words = self._words(s["x_channels"]), self._words(offset + s["out_channels"])
        c["x_pixel_words"] = x_words + self.pick(0, 0, 1, 2)
        c["out_pixel_words"] = out_words + self.pick(0, 0, 1)
        x_extent = x_ring * s["x_width"] * c["x_pixel_words"]
        out_extent = out_ring * self._pitch("out_row_words", s["out_width"] * c["out_pixel_words"])
        c["x_base"] = self.region(x_extent)
        in_place = self.kind is ComputeKind.COPY and offset % self.lanes == 0 and rng.random() < 0.3 and not self.phase
        if in_place:
            c |= {"out_pixel_words": c["x_pixel_words"], "out_ring": x_ring, "out_base": c["x_base"], "out_channel": 0}
        else:
            c["out_base"] = self.region(out_extent)
        self._fill(
            Rows("input", c["x_base"], x_ring, s["x_width"], c["x_pixel_words"]), s["x_channels"], needed, s["x_height"]
        )
        if s["binary"]:
            self._residual(s, c, spans, in_place=in_place, whole=whole)
        if s["has_scale"]:
            s["scale"] = self.region(x_words)
            self._fill(Rows("scale", s["scale"], 1, 1, x_words), s["x_channels"], [(0, 1)], 1)
        if self.kind in WINDOWED[:2]:
            self._weights(s, c, tiles)
        self._parameters(s, c)
        return c

    def _ring(self, needed: list[tuple[int, int]], height: int) -> int:
        """Rows of a ring that holds what any band needs."""
        if not needed:
            return 1
        return max(1, min(height, max(b - a for a, b in needed) + self.room(3)))

    def room(self, rows: int) -> int:
        """Rows that a ring has beyond those that it needs."""
        return self.upto(0, rows)

    def _fill(self, rows: Rows, channels: int, spans: list[tuple[int, int]], height: int) -> None:
        """Rows that one of the spans needs and that the ring still holds at the end; bands of others are cut by the caller."""
        for first, last in spans:
            if first < last:
                values = self.rng.integers(-128, 128, (last - first, rows.width, channels), np.int8)
                self.scratchpad.write(self.load, rows, (first, last), 0, values)

    def _residual(
        self, s: dict[str, int], c: dict[str, int], spans: list[tuple[int, int]], *, in_place: bool, whole: bool
    ) -> None:
        mean = self.kind is ComputeKind.GLOBAL_MEAN
        words = self._words(s["out_channels"])
        s["residual_pixel_words"] = words + self.pick(0, 0, 1)
        if self.kind is ComputeKind.COPY and self.rng.random() < 0.25 and not in_place:  # the input again
            c |= {"residual_base": c["x_base"], "residual_ring": c["x_ring"]}
            s["residual_pixel_words"] = c["x_pixel_words"]
            return
        same = c["out_channel"] % self.lanes == 0 and not self.phase
        if self.rng.random() < 0.3 and same and not in_place:  # the output's place
            shift = c["out_channel"] // self.lanes
            c |= {"residual_base": c["out_base"] + shift, "residual_ring": c["out_ring"]}
            s["residual_pixel_words"] = c["out_pixel_words"]
        else:
            c["residual_ring"] = 1 if mean else (s["out_height"] if whole else max([1, *(b - a for a, b in spans)]))
            c["residual_base"] = self.region(c["residual_ring"] * s["out_width"] * s["residual_pixel_words"])
        rows = Rows("residual", c["residual_base"], c["residual_ring"], s["out_width"], s["residual_pixel_words"])
        wanted = [(0, 1)] if mean else spans
        self._fill(rows, s["out_channels"], wanted, s["out_height"])

    def _weights(self, s: dict[str, int], c: dict[str, int], tiles: tuple[int, int, int]) -> None:
        positions = s["kernel_h"] * s["kernel_w"]
        if self.kind is ComputeKind.DEPTHWISE:
            words = self._words(s["out_channels"])
            c |= {"weights_ring": 1, "weights_base": self.region(positions * words)}
            self._fill(Rows("weights", c["weights_base"], 1, positions, words), s["out_channels"], [(0, 1)], 1)
            return
        depth = s["x_channels"] // s["groups"]
        words = self._words(depth)
        spans = [rows_of(tiles[0], tiles[1], s["out_channels"], i) for i in range(tiles[2])]
        c["weights_ring"] = s["out_channels"] + self.pick(0, 0, 3)
        pitch = self._pitch("weights_row_words", positions * words)
        c["weights_base"] = self.region(c["weights_ring"] * pitch)
        rows = Rows("weights", c["weights_base"], c["weights_ring"], positions, words, pitch)
        self._fill(rows, depth, [sp for sp in spans if sp[0] < sp[1]], s["out_channels"])

    def _parameters(self, s: dict[str, int], c: dict[str, int]) -> None:
        rng = self.rng
        parts = []
        if s["binary"] == Binary.ADD:
            ratios = np.exp(rng.normal(-0.7, 1.0, 2)).astype(np.float32)
            parts.append(pack_binary(AddParams(ratios[0], ratios[1], np.float32(rng.normal(0, 40)))))
        elif s["binary"] == Binary.MUL:
            parts.append(pack_binary(self._mul()))
        if s["has_scale"]:
            parts.append(pack_scale(self._mul()))
        if self.kind is ComputeKind.AVERAGE_POOL:
            scales = np.exp(rng.normal(-3, 0.5, 2)).astype(np.float32)
            if rng.random() < 0.5:
                scales[1] = scales[0]
            parts.append(pack_average(AveragePoolParams(scales[0], s["pad_value"], scales[1], self.upto(-128, 127))))
        tables = [flag for flag in ("has_table0", "has_table1") if s[flag]]
        parts += [pack_table(rng.integers(-128, 128, 256, np.int8)) for _ in tables]
        count = {
            ComputeKind.CONV: s["out_channels"],
            ComputeKind.DEPTHWISE: s["out_channels"],
            ComputeKind.GLOBAL_MEAN: 1,
        }
        n = count.get(self.kind, 0)
        if n:
            spread = float(self.pick(50, 2000, 100000, 2**31 - 1))
            bias = np.clip(rng.normal(0, spread, n), -(2**31), 2**31 - 1).astype(np.int32)
            factor = np.exp(rng.normal(-6, 2.5, n)).astype(np.float32)
            parts.append(pack_channels(bias, factor))
        block = b"".join(parts)
        if not block:
            return
        words = self._words(len(block))
        # Anywhere that is not an operand of this case: the free banks, or between operands where there is room.
        s["parameters"] = self.region(words)
        values = np.frombuffer(block, np.int8).reshape(1, 1, -1)
        self.scratchpad.write(self.load, Rows("parameters", s["parameters"], 1, 1, words), (0, 1), 0, values)

    def _mul(self) -> MulParams:
        zeros = [self.upto(-128, 127) for _ in range(3)]
        return MulParams(zeros[0], zeros[1], np.float32(np.exp(self.rng.normal(-4.5, 1.0))), zeros[2])

    def _pitch(self, field: str, dense: int) -> int:
        """Words from one row to the next, more than its own where there is a PHASE that says so."""
        if not self.phase or self.rng.random() < 0.3:
            return dense
        self.phase[field] = dense + self.upto(0, 2 * dense)
        return self.phase[field]

    def _words(self, channels: int) -> int:
        return -(-channels // self.lanes)


class NoRoomError(Exception):
    """The operands do not fit."""
