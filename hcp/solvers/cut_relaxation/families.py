"""The families of valid inequalities that strengthen the cut relaxation. A new one needs a line here."""

from typing import Final

from hcp.graph.fields import Record
from hcp.graph.ir import Graph
from hcp.solvers.cut_relaxation import path_cuts, rounded_memory
from hcp.solvers.cut_relaxation.cuts import Cut, Family
from hcp.solvers.formats import entry_for

FAMILIES: Final[tuple[Family, ...]] = (path_cuts.FAMILY, rounded_memory.FAMILY)

NAMES: Final = tuple(family.format.name for family in FAMILIES)
_BY_FORMAT: Final = {family.format: family for family in FAMILIES}


def read_cut(data: object, owner: str, graph: Graph) -> Cut:
    """A cut as its ``to_dict`` wrote it.

    Raises:
        GraphError: On anything else; says what is wrong.
    """
    record = Record(data, f"a cut of {owner}")
    family = entry_for(record.text("family"), _BY_FORMAT, f"the family of {record.owner}")
    return family.read(record, graph)
