"""The heavy operations of SETUP on one band, as plain functions of arrays. `setup` is the SETUP instruction's fields."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sfopt.arithmetic import (
    AveragePoolParams,
    average_windows,
    conv2d_accumulate,
    depthwise_accumulate,
    requantize,
)
from sfopt.arithmetic.rounding import Float32Array, Int8Array, Int32Array
from sfopt_fpga.isa import MEAN_CHANNELS, Binary, ComputeKind
from sfopt_fpga.sequencer import Step

__all__ = [
    "average",
    "check_setup",
    "check_work",
    "convolve",
    "convolve_depthwise",
    "input_rows",
    "maximum",
    "pad_window",
    "replicate",
    "scale_accumulators",
]

Setup = Mapping[str, int]
MOST_WINDOW_BYTES = 1 << 30
MOST_PRODUCTS = 1 << 38
"""Of one COMPUTE: some seconds of work, and a hundred times a layer of VGG-16."""
_WINDOWED = (ComputeKind.CONV, ComputeKind.DEPTHWISE, ComputeKind.MAX_POOL, ComputeKind.AVERAGE_POOL)


def input_rows(setup: Setup, rows: tuple[int, int]) -> tuple[int, int]:
    """Rows of the input inside it that a band needs: `rows` are output rows, or input rows of a global mean."""
    if setup["kind"] in (ComputeKind.COPY, ComputeKind.GLOBAL_MEAN):
        return rows
    if setup["kind"] == ComputeKind.RESIZE:
        return rows[0] // setup["stride_h"], (rows[1] - 1) // setup["stride_h"] + 1
    top, bottom = _window_rows(setup, rows)
    first = min(max(top, 0), setup["x_height"])
    return first, max(first, min(bottom, setup["x_height"]))


def _window_rows(setup: Setup, rows: tuple[int, int]) -> tuple[int, int]:
    """Rows that the band's windows span, those of the padding included."""
    extent = (setup["kernel_h"] - 1) * setup["dilation_h"] + 1
    return (
        rows[0] * setup["stride_h"] - setup["pad_top"],
        (rows[1] - 1) * setup["stride_h"] + extent - setup["pad_top"],
    )


def check_work(step: Step, setup: Setup, rows: tuple[int, int], channels: tuple[int, int], sram_bytes: int) -> None:
    """Raise SimulationFault for a COMPUTE whose results cannot be in the scratchpad, or whose windows are beyond all measure."""
    height, depth = rows[1] - rows[0], channels[1] - channels[0]
    values = height * setup["out_width"] * depth
    if setup["kind"] != ComputeKind.GLOBAL_MEAN and values > sram_bytes:
        raise step.fault(f"{values} bytes of results, the scratchpad has {sram_bytes}")
    if setup["kind"] not in _WINDOWED:
        return
    top, bottom = _window_rows(setup, rows)
    width = (setup["out_width"] - 1) * setup["stride_w"] + (setup["kernel_w"] - 1) * setup["dilation_w"] + 1
    deep = setup["x_channels"] if setup["kind"] == ComputeKind.CONV else depth
    places = setup["kernel_h"] * setup["kernel_w"]
    held = max((bottom - top) * width * deep, values * places * (setup["kind"] == ComputeKind.AVERAGE_POOL))
    if held > MOST_WINDOW_BYTES:
        raise step.fault(f"{held} bytes of windows, the simulator holds {MOST_WINDOW_BYTES}")
    products = values * places * (deep // setup["groups"] if setup["kind"] == ComputeKind.CONV else 1)
    if products > MOST_PRODUCTS:
        raise step.fault(f"{products} products, the limit is {MOST_PRODUCTS}")


def pad_window(setup: Setup, x: Int8Array, rows: tuple[int, int], value: int) -> Int8Array:
    """All pixels that the band's windows span, places outside the input holding `value`; `x` is rows `input_rows(rows)`."""
    top, bottom = _window_rows(setup, rows)
    first, last = input_rows(setup, rows)
    extent = (setup["kernel_w"] - 1) * setup["dilation_w"] + 1
    left = setup["pad_left"]
    width = (setup["out_width"] - 1) * setup["stride_w"] + extent
    inside = min(setup["x_width"], max(0, width - left))
    if (top, bottom, left) == (first, last, 0) and inside == width:
        return x[:, :width]
    padded = np.full((bottom - top, width, x.shape[2]), value, np.int8)
    padded[first - top : last - top, left : left + inside] = x[:, :inside]
    return padded


def convolve(setup: Setup, x: Int8Array, w: Int8Array, channels: tuple[int, int]) -> Int32Array:
    """Accumulators of output channels `channels`; `w` holds their weights, (channels, kernel positions, depth)."""
    weights = w.reshape(len(w), setup["kernel_h"], setup["kernel_w"], -1)
    strides, dilations = _pair(setup, "stride"), _pair(setup, "dilation")
    size, depth = setup["out_channels"] // setup["groups"], weights.shape[3]
    first_group = channels[0] // size
    parts = []
    for group in range(first_group, (channels[1] - 1) // size + 1):
        start, stop = max(channels[0], group * size) - channels[0], min(channels[1], (group + 1) * size) - channels[0]
        lanes = slice((group - first_group) * depth, (group - first_group + 1) * depth)
        parts.append(conv2d_accumulate(x[:, :, lanes], weights[start:stop], strides, dilations))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def convolve_depthwise(setup: Setup, x: Int8Array, w: Int8Array) -> Int32Array:
    """Accumulators of a depthwise convolution; `w` is (1, kernel positions, channels)."""
    weights = w.reshape(setup["kernel_h"], setup["kernel_w"], -1)
    return depthwise_accumulate(x, weights, _pair(setup, "stride"), _pair(setup, "dilation"))


def scale_accumulators(acc: Int32Array, bias: Int32Array, factor: Float32Array, zero_point: int) -> Int8Array:
    """Add the biases (wrapping) and requantise."""
    with np.errstate(over="ignore"):
        acc += bias
    return requantize(acc, factor, zero_point)


def maximum(setup: Setup, x: Int8Array, rows: int) -> Int8Array:
    """Maximum of each window of a padded input."""
    views = _places(setup, x, rows)
    result = views[0].copy()
    for view in views[1:]:
        np.maximum(result, view, out=result)
    return result


def average(setup: Setup, x: Int8Array, rows: tuple[int, int], params: AveragePoolParams) -> Int8Array:
    """Average of each window."""
    padded = pad_window(setup, x, rows, setup["pad_value"])
    counts: npt.NDArray[np.int64] = np.array(setup["kernel_h"] * setup["kernel_w"])
    if not setup["include_pad"]:
        counts = _inside(setup, rows, "h")[:, None, None] * _inside(setup, (0, setup["out_width"]), "w")[:, None]
        counts = np.maximum(counts, 1)
    return average_windows(np.stack(_places(setup, padded, rows[1] - rows[0])), counts, params)


def replicate(setup: Setup, x: Int8Array, rows: tuple[int, int]) -> Int8Array:
    """Output pixel (i, j) = input pixel (i // factor_h, j // factor_w); `x` starts at the first input row needed."""
    across = np.repeat(x, setup["stride_w"], axis=1)[:, : setup["out_width"]]
    offset = rows[0] % setup["stride_h"]
    return np.repeat(across, setup["stride_h"], axis=0)[offset : offset + rows[1] - rows[0]]


def _pair(setup: Setup, name: str) -> tuple[int, int]:
    return setup[f"{name}_h"], setup[f"{name}_w"]


def _places(setup: Setup, x: Int8Array, rows: int) -> list[Int8Array]:
    """For each kernel place, in row-major order, what it meets for all output pixels."""
    views = []
    height, width = (rows - 1) * setup["stride_h"] + 1, (setup["out_width"] - 1) * setup["stride_w"] + 1
    for i in range(setup["kernel_h"]):
        for j in range(setup["kernel_w"]):
            top, left = i * setup["dilation_h"], j * setup["dilation_w"]
            views.append(x[top : top + height : setup["stride_h"], left : left + width : setup["stride_w"]])
    return views


def _inside(setup: Setup, outputs: tuple[int, int], axis: str) -> npt.NDArray[np.int64]:
    """Kernel places inside the input along one axis, for each of the outputs."""
    pad, size = (setup["pad_top"], setup["x_height"]) if axis == "h" else (setup["pad_left"], setup["x_width"])
    start = np.arange(*outputs)[:, None] * setup[f"stride_{axis}"] - pad
    places = start + np.arange(setup[f"kernel_{axis}"]) * setup[f"dilation_{axis}"]
    counts: npt.NDArray[np.int64] = ((places >= 0) & (places < size)).sum(axis=1)
    return counts


def check_setup(step: Step) -> None:
    """Raise SimulationFault for a SETUP whose sizes no operation has."""
    fields = step.fields
    if fields["kind"] not in tuple(ComputeKind) or fields["binary"] not in tuple(Binary):
        raise step.fault(f"kind {fields['kind']} or binary {fields['binary']} does not exist")
    needed = ["x_height", "x_width", "x_channels", "out_height", "out_width", "out_channels"]
    if fields["kind"] in _WINDOWED:
        needed += ["kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w"]
    if fields["kind"] == ComputeKind.RESIZE:
        needed += ["stride_h", "stride_w"]
    if fields["kind"] == ComputeKind.CONV:
        needed.append("groups")
    for name in needed:
        if fields[name] == 0:
            raise step.fault(f"{name} is 0")
    _check_sizes(step)


def _check_sizes(step: Step) -> None:
    fields, kind = step.fields, step.fields["kind"]
    x, out = ((fields[f"{n}_height"], fields[f"{n}_width"], fields[f"{n}_channels"]) for n in ("x", "out"))
    if kind == ComputeKind.CONV:
        if x[2] % fields["groups"] or out[2] % fields["groups"]:
            raise step.fault(f"{x[2]} input and {out[2]} output channels do not divide into {fields['groups']} groups")
        return
    if x[2] != out[2]:
        raise step.fault(f"x_channels {x[2]} and out_channels {out[2]} differ")
    wanted = {
        ComputeKind.COPY: x[:2],
        ComputeKind.GLOBAL_MEAN: (1, 1),
        ComputeKind.RESIZE: (x[0] * fields["stride_h"], x[1] * fields["stride_w"]),
    }.get(ComputeKind(kind), out[:2])
    if kind == ComputeKind.GLOBAL_MEAN and out[2] > MEAN_CHANNELS:
        raise step.fault(f"a mean of {out[2]} channels, the machine keeps the sums of {MEAN_CHANNELS}")
    window = fields["kernel_h"], fields["kernel_w"], fields["pad_top"], fields["pad_left"]
    if kind == ComputeKind.AVERAGE_POOL and window == (*x[:2], 0, 0) and out[:2] == (1, 1):
        raise step.fault("an average of the whole input has the rule of a global mean: GLOBAL_MEAN")
    if out[:2] != wanted:
        raise step.fault(f"the output is {out[0]}x{out[1]}, this operation gives {wanted[0]}x{wanted[1]}")
