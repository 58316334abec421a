"""From a captured step to its graph: prepared, measured or told by rule, priced."""

from dataclasses import replace

from hcp.integrations.torch.calibration import measurements_of
from hcp.integrations.torch.capture import Joint
from hcp.integrations.torch.cost import Cost, costs, device_of
from hcp.integrations.torch.gradients import check_gradients
from hcp.integrations.torch.in_backward import take_in_backward, workspace_of
from hcp.integrations.torch.lower import Lowered, lower
from hcp.integrations.torch.prepare import prepare
from hcp.integrations.torch.probe import footprints_by_rule, probe
from hcp.plans.cache import CacheOption, folder_of


def lower_joint(
    joint: Joint,
    cost: Cost,
    name: str,
    cache: CacheOption,
    *,
    run: bool = True,
    taken: frozenset[str] = frozenset(),
) -> Lowered:
    """The graph of a captured step.

    Args:
        joint: The step.
        cost: What operations cost; measured costs are kept in the cache.
        name: Of the graph.
        cache: Where.
        run: Whether operations are run by themselves to see what they allocate; else rules say it, which know of no
            workspace.
        taken: Names of the parameters that take their gradients in the backward.

    Raises:
        CaptureError: If the step lacks gradients, or holds an operation that cannot be planned.
    """
    check_gradients(joint)
    program = prepare(joint)
    taking = take_in_backward(program, taken)
    if run:
        times = measurements_of(device_of(joint.primals), "times", folder_of(cache)) if cost == "measured" else None
        footprints = probe(program, times)
        if times is not None:
            times.save()
    else:
        footprints = footprints_by_rule(program)
    for node in taking:
        footprints[node] = replace(footprints[node], workspace=workspace_of(node))
    views = {node for node, footprint in footprints.items() if not footprint.sizes} - program.effects
    charged = {node: footprint for node, footprint in footprints.items() if node not in views}
    return lower(program, footprints, costs(cost, charged, cache), views, name)
