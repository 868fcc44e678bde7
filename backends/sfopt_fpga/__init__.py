"""The accelerator's backend: instructions from a plan, and a simulator that runs them."""

from sfopt_fpga.backend import FpgaBackend

__all__ = ["FpgaBackend"]
