"""How a broken rule is said: one line that names the rule, the thing and the numbers."""

from sfopt.errors import PlanCheckError

__all__ = ["broken", "require"]


def broken(rule: int, text: str) -> PlanCheckError:
    """The error of a broken rule; loops over bands build its text only when they raise it."""
    return PlanCheckError(f"rule {rule}: {text}")


def require(holds: bool, rule: int, text: str) -> None:
    """Raise PlanCheckError unless `holds`."""
    if not holds:
        raise broken(rule, text)
