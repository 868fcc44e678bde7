"""Rule 10: what a plan says about the order of the groups, and about the other orders that were tried."""

from sfopt.check.require import require
from sfopt.check.view import View

__all__ = ["check_order"]


def check_order(view: View) -> None:
    """The order named is the network's, and no more is claimed of the others than of the one chosen."""
    order = view.plan.order
    if order is None:
        return
    require(1 <= order.chosen <= order.tried, 10, f"order {order.chosen} of {order.tried} is none of them")
    first, names = view.plan.certificate.objectives[0], tuple(g.name for g in view.network.groups)
    own = order.chosen == 1
    require(own == (not order.groups), 10, f"order {order.chosen} of {order.tried} names {len(order.groups)} groups")
    require(own or order.groups == names, 10, "the order named is not that of the network's groups")
    limit = f"has bound {order.bound}, objective {first.name} has the value {first.value}"
    require(0 <= order.bound <= first.value, 10, f"order {order.chosen} of {order.tried} {limit}")
