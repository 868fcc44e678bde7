"""The independent plan checker: every rule of docs/plan-rules.md, re-derived, a file a rule. Shares no code with the planner.

A plan that breaks a rule raises PlanCheckError, which names the rule, the thing and the numbers.
"""

from sfopt.check.certificate import PlanFacts, check_certificate, derive_facts
from sfopt.check.constants import check_constants
from sfopt.check.cover import check_cover
from sfopt.check.order import check_order
from sfopt.check.placement import check_banks, check_placement
from sfopt.check.require import require
from sfopt.check.residents import check_residents
from sfopt.check.streams import check_streams
from sfopt.check.traffic import check_dram, check_traffic
from sfopt.check.view import View
from sfopt.device import Device
from sfopt.groups import Network
from sfopt.plan import Plan

__all__ = ["PlanFacts", "check_plan"]


def check_plan(plan: Plan, network: Network, device: Device) -> PlanFacts:
    """Check every rule; raises PlanCheckError at the first that is broken."""
    view = View(plan, network, device)
    check_cover(view)
    require(len(view.buffers) == len(plan.buffers), 2, "two buffers share one name")
    known = check_residents(view) | check_streams(view) | check_constants(view)
    for b in plan.buffers:
        require(b.name in known, 3, f"buffer `{b.name}` ({b.role}) is not one that the plan's segments have")
    check_placement(view)
    check_banks(view)
    moved = check_traffic(view)
    check_dram(view)
    facts = derive_facts(view, moved)
    check_certificate(view, facts)
    check_order(view)
    return facts
