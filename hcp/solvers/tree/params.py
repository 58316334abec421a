"""Parameters of the tree."""

from dataclasses import dataclass
from typing import Final

from hcp.planning.parameters import Count, Params, Positive, Share, Whole


@dataclass(frozen=True)
class TreeParams(Params):
    """Parameters of the tree.

    Attributes:
        candidates: Branches whose effect is tried before one is chosen.
        iterations: Simplex iterations of a trial.
        reliable: So many trials of a column's or a sum's kind make further ones needless.
        fruitless: Trials in a row that find nothing better end the choice.
        root_rounds: Rounds of cuts at the root.
        rounds: Rounds of cuts at other nodes.
        least_violation: Cuts violated by less are not worth their row.
        least_gain: A round of cuts that closes less of what is missing is the last.
        digits: Binary digits of multipliers, fewest first; more are taken where fewer lose too much.
        fix_share: Columns are fixed by their slopes where that settles this share of the open ones at least.
    """

    candidates: Whole = 16
    iterations: Whole = 80
    reliable: Whole = 8
    fruitless: Whole = 8
    root_rounds: Count = 40
    rounds: Count = 6
    least_violation: Positive = 1e-3
    least_gain: Share = 0.03
    digits: tuple[Whole, ...] = (20, 40)
    fix_share: Share = 0.02


DEFAULT_TREE: Final = TreeParams()
