"""The families of valid inequalities that strengthen the cut relaxation. A new one needs a line here."""

from collections.abc import Collection, Set
from typing import Final

from hcp.graph.cancellation import Cancelled
from hcp.graph.fields import Record
from hcp.graph.ir import Graph
from hcp.solvers.cut_relaxation import path_cuts, rounded_memory
from hcp.solvers.cut_relaxation.cuts import Cut, CutModel, Family
from hcp.solvers.formats import entry_for
from hcp.solvers.models.rows import FloatArray

FAMILIES: Final[tuple[Family, ...]] = (path_cuts.FAMILY, rounded_memory.FAMILY)

NAMES: Final = tuple(family.format.name for family in FAMILIES)
_BY_FORMAT: Final = {family.format: family for family in FAMILIES}


def violated(
    form: CutModel, point: FloatArray, least_violation: float, known: Set[Cut], names: Collection[str] = NAMES
) -> list[Cut]:
    """Cuts that a point violates, each once and but for those known; none where the time for them is up.

    Args:
        form: The relaxation.
        point: One number a column.
        least_violation: Smaller violations do not count.
        known: Those that the point satisfies, up to tolerances.
        names: Of the families to try.
    """
    families = [family for family in FAMILIES if family.format.name in names]
    try:
        found = [cut for family in families for cut in family.separate(form, point, least_violation)]
    except Cancelled:
        # What is proved without them stays.
        return []
    return [cut for cut in dict.fromkeys(found) if cut not in known]


def read_cut(data: object, owner: str, graph: Graph) -> Cut:
    """A cut as its ``to_dict`` wrote it.

    Raises:
        GraphError: On anything else; says what is wrong.
    """
    record = Record(data, f"a cut of {owner}")
    family = entry_for(record.text("family"), _BY_FORMAT, f"the family of {record.owner}")
    return family.read(record, graph)
