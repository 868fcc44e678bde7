"""Rule 1: the plan is for this network and device, and its segments cover the groups in order, each once."""

from sfopt.check.require import broken, require
from sfopt.check.view import View
from sfopt.device import Device
from sfopt.errors import DeviceError
from sfopt.groups import Kind, network_fingerprint

__all__ = ["check_cover"]


def check_cover(view: View) -> None:
    """Everything that the other rules take for granted."""
    _made_for_this(view)
    following, groups = 0, view.network.groups
    for step, s in enumerate(view.plan.segments):
        where = f"segment {step}"
        require(s.first == following, 1, f"{where} begins with group {s.first}, needs {following}")
        require(s.first <= s.last < len(groups), 1, f"{where} covers groups {s.first}..{s.last} of {len(groups)}")
        following = s.last + 1
        inside = groups[s.first : following]
        host = next((g for g in inside if g.kind is Kind.HOST), None)
        if host is not None:
            require(len(inside) == 1, 1, f"{where} holds HOST group `{host.name}` beside {len(inside) - 1} others")
            bare = (s.bands, s.runs, s.feeds) == (1, (), ())
            require(bare, 1, f"{where} (HOST) has {s.bands} bands, {len(s.runs)} runs and {len(s.feeds)} feeds")
            continue
        runs = [run.group for run in s.runs]
        require(runs == [g.index for g in inside], 1, f"{where} (groups {s.first}..{s.last}) runs groups {runs}")
    require(following == len(groups), 1, f"segments end with group {following - 1}, network has {len(groups)} groups")


def _made_for_this(view: View) -> None:
    plan, device = view.plan, view.device
    require(plan.network == network_fingerprint(view.network), 1, "plan was made for another network")
    try:
        same = Device.from_dict(dict(plan.device)).fingerprint() == device.fingerprint()
    except DeviceError as error:
        raise broken(1, f"the plan's device is unusable: {error}") from None
    require(same, 1, f"plan was made for a device other than `{device.name}`")
