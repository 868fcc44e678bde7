"""What rules 2 to 4 say about a single buffer: name, role, content, row size, life."""

from sfopt.check.require import require
from sfopt.check.view import View
from sfopt.plan import Buffer, Role

__all__ = ["own_buffer", "require_shape"]


def own_buffer(view: View, step: int, what: str, role: Role, content: str, row_bytes: int, *, early: bool) -> Buffer:
    """The buffer `step:what` of a segment, live at its step, or from the step before if it may be `early`."""
    rule = 4 if role in (Role.WEIGHTS, Role.PARAMETERS) else 3
    name = f"{step}:{what}"
    require(name in view.buffers, rule, f"buffer `{name}` ({role}) is missing")
    b = view.buffers[name]
    require_shape(b, role, name, content, row_bytes, rule)
    wanted = f"{step - 1}..{step} or {step}..{step}" if early else f"{step}..{step}"
    lives = b.last_step == step and step - early <= b.first_step <= step
    require(lives, rule, f"`{name}` is live {b.first_step}..{b.last_step}, needs {wanted}")
    return b


def require_shape(b: Buffer, role: Role, name: str, content: str, row_bytes: int, rule: int) -> None:
    """Raise PlanCheckError unless the buffer is what its place asks for."""
    right = (b.name, b.role, b.content) == (name, role, content)
    require(right, rule, f"buffer `{b.name}` ({b.role} of `{b.content}`), needs {role} `{name}` of `{content}`")
    require(b.row_bytes == row_bytes, rule, f"`{name}` has rows of {b.row_bytes} bytes, needs {row_bytes}")
