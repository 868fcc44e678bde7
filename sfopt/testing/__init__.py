"""For your own pytest suite: numerical equivalence of a network, and what every backend has to keep to.

    from sfopt.testing import BackendConformance, assert_equivalent

    def test_my_network():
        assert_equivalent("model.onnx", device="sim8")

    class TestMyBackend(BackendConformance):
        backend = "mine"

`BackendConformance` needs pytest: pip install 'sfopt[testing]'.
"""

from typing import TYPE_CHECKING

from sfopt.errors import MissingExtraError
from sfopt.testing.equivalence import assert_equivalent

if TYPE_CHECKING:
    from sfopt.testing.conformance import BackendConformance

__all__ = ["BackendConformance", "assert_equivalent"]


def __getattr__(name: str) -> object:
    if name != "BackendConformance":
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    try:
        from sfopt.testing.conformance import BackendConformance  # noqa: PLC0415 - pytest only where it is asked for
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise MissingExtraError("the conformance suite", "testing") from None
    return BackendConformance
