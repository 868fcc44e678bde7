"""A function of one value written as steps: what becomes one table though the source spells it with several operators.

A step is a line of text, so that a Lookup can carry it as an attribute: the ONNX operator, its operands, then its attributes.
An operand is `x`, the value itself, `%3`, the result of step 3, or a float32 number in hexadecimal. GELU is

    Div x 0x1.6a09e60000000p+0
    Erf %0
    Add %1 0x1.0000000000000p+0
    Mul x %2
    Mul %3 0x1.0000000000000p-1
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sfopt.errors import InternalError
from sfopt.graph import Attribute

__all__ = ["FUNCTION", "Step", "parse_steps", "step_texts"]

FUNCTION = "Expression"
"""`function` of a Lookup whose attribute `steps` says what it computes."""


@dataclass(frozen=True)
class Step:
    """One operator: operands are "x", the number of an earlier step, or a constant."""

    op_type: str
    operands: tuple[str | int | float, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


def step_texts(steps: Sequence[Step]) -> tuple[str, ...]:
    """The lines that `parse_steps` reads back."""
    return tuple(" ".join([s.op_type, *map(_operand_text, s.operands), *_attribute_texts(s)]) for s in steps)


def parse_steps(texts: Attribute | None) -> tuple[Step, ...]:
    """Steps of a Lookup's attribute. Raises InternalError where it is none."""
    if not isinstance(texts, tuple):
        raise InternalError(f"steps of an expression are {texts!r}, needs lines of text")
    return tuple(_parse(str(text)) for text in texts)


def _operand_text(operand: str | int | float) -> str:
    if isinstance(operand, str):
        return operand
    return f"%{operand}" if isinstance(operand, int) else float(np.float32(operand)).hex()


def _attribute_texts(step: Step) -> list[str]:
    values = {k: float(v).hex() if isinstance(v, float) else v for k, v in step.attributes.items()}
    return [f"{key}={value}" for key, value in sorted(values.items())]


def _parse(text: str) -> Step:
    op_type, *words = text.split(" ")
    attributes = dict(w.split("=", 1) for w in words if "=" in w)
    return Step(
        op_type, tuple(_operand(w) for w in words if "=" not in w), {k: _value(v) for k, v in attributes.items()}
    )


def _operand(word: str) -> str | int | float:
    if word.startswith("%"):
        return int(word[1:])
    return word if word == "x" else float.fromhex(word)


def _value(word: str) -> Attribute:
    if word.lstrip("-").isdigit():
        return int(word)
    try:
        return float.fromhex(word)
    except ValueError:
        return word
