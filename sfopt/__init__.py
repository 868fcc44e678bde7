"""sfopt: where every feature map of a convolutional network lives on an accelerator, decided and proven optimal."""

__all__ = ["__version__"]

__version__ = "0.1.0"
