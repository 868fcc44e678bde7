"""What a module would take at more lanes than yosys has room for, from what it takes at fewer."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np

from resources import Resources

__all__ = ["Fit", "fit"]


@dataclass(frozen=True)
class Fit:
    """a + b lanes + c lanes^2 through three points, for each resource: `coefficients` (resources, 3)."""

    module: str
    points: Mapping[int, Resources]
    coefficients: tuple[tuple[float, float, float], ...]

    def at(self, lanes: int) -> Resources:
        """At another number of lanes, to whole numbers."""
        return Resources(*(max(0, round(a + b * lanes + c * lanes**2)) for a, b, c in self.coefficients))


def fit(module: str, points: Mapping[int, Resources]) -> Fit:
    """Through three points, exactly: there is none left over that would say how good it is."""
    lanes = np.array(list(points), float)
    values = np.array([astuple(value) for value in points.values()], float)
    solved = np.linalg.solve(np.vander(lanes, 3, increasing=True), values).T
    return Fit(module, points, tuple((float(a), float(b), float(c)) for a, b, c in solved))
