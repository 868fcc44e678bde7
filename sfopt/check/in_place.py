"""The exception of rules 5 and 6: a group writes over an operand that ends with it, element by element."""

from sfopt.check.view import View
from sfopt.plan import Buffer

__all__ = ["written_over"]


def written_over(view: View, step: int) -> tuple[Buffer, Buffer] | None:
    """The operand and the output of a segment's only group, if one has the place of the other; None where nothing is written over.

    Both are resident and of one size, the operand ends and the output begins at this step, and the group reads the operand once,
    element by element. Of two operands at one place, only one is meant; the other one overlaps.
    """
    groups = view.groups(step)
    if view.is_host(step) or len(groups) > 1:
        return None
    output = view.resident.get(groups[0].output)
    if output is None or output.first_step != step:
        return None
    for name in groups[0].replaceable:
        operand = view.resident.get(name)
        if operand is not None and operand.last_step == step and _same_place(operand, output):
            return operand, output
    return None


def _same_place(a: Buffer, b: Buffer) -> bool:
    return (a.offset, a.rows, a.row_bytes) == (b.offset, b.rows, b.row_bytes)
