"""All constants of a network as one image of DRAM."""

from collections.abc import Mapping
from dataclasses import dataclass

from sfopt.constant_blocks import parameter_block, weight_block
from sfopt.groups import Network
from sfopt_fpga.program import DRAM_ALIGNMENT

__all__ = ["Image", "build_image"]


@dataclass(frozen=True)
class Image:
    """All constants, and where each block starts in them."""

    data: bytes
    offsets: Mapping[str, int]
    sizes: Mapping[str, int]


def build_image(network: Network) -> Image:
    """The blocks of all groups in execution order, each at a multiple of the DRAM alignment."""
    data, offsets, sizes = bytearray(), dict[str, int](), dict[str, int]()
    for group in network.groups:
        for name, block in (("weights", weight_block(network, group)), ("parameters", parameter_block(network, group))):
            if block:
                data.extend(bytes(-len(data) % DRAM_ALIGNMENT))
                offsets[f"{group.name}.{name}"], sizes[f"{group.name}.{name}"] = len(data), len(block)
                data.extend(block)
    return Image(bytes(data), offsets, sizes)
