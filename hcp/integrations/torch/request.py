"""How a module's steps are planned: the shared options, costs of operations, and a link that can be measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal

from hcp.graph.ir import Graph
from hcp.integrations.request import Errors, Request
from hcp.integrations.torch.calibration import host_link
from hcp.integrations.torch.cost import Cost, check_cost
from hcp.integrations.torch.errors import ExecutionError, TorchError
from hcp.integrations.torch.total import Total
from hcp.schedule.host import HostLink

# A training step of a dozen transformer blocks is within a minute then, capture included.
TIME_LIMIT: Final = 45.0

# What makes code of the halves of a step: operation by operation, or kernels of several.
Compiler = Literal["aot_eager", "inductor"]
COMPILERS: Final = ("aot_eager", "inductor")

# None for no host, a bandwidth such as "12GiB/s", or one of these for this machine's.
Host = HostLink | str | None
MEASURED: Final = "measured"
OVERLAPPED: Final = "overlapped"


@dataclass(frozen=True, kw_only=True)
class TorchRequest(Request):
    """The options of ``checkpoint``, which explains each.

    Raises:
        TorchError: If an option is not understood, or there is neither a budget nor a plan.
    """

    errors: ClassVar[Errors] = Errors(TorchError, ExecutionError, TorchError)
    hosts: ClassVar[str] = "a bandwidth such as '12GiB/s', 'measured', 'overlapped', or a HostLink"

    time_limit: float = TIME_LIMIT
    # In place of a budget: one for all the memory.
    total: Total | None = None
    cost: Cost = "roofline"
    compiler: Compiler = "aot_eager"
    mode: str | None = None
    options: Mapping[str, Any] | None = None
    dynamic: bool | None = None
    max_length: int | None = None
    optimizer_in_backward: bool = False

    def __post_init__(self) -> None:
        check_cost(self.cost)
        self._check_shapes()
        if self.compiler not in COMPILERS:
            raise TorchError(f"compiler {self.compiler!r} is not understood; give {' or '.join(map(repr, COMPILERS))}")
        if self.compiler != "inductor" and (self.mode is not None or self.options is not None):
            raise TorchError("mode and options are Inductor's; give compiler='inductor' as well, or neither of them")
        if self.compiler == "inductor" and self.optimizer_in_backward:
            raise TorchError(
                "compiled plans call no hooks in their backward; give compiler='aot_eager', or no optimizer_in_backward"
            )
        if self.compiler == "inductor" and self.host is not None:
            raise TorchError("compiled plans move no values to the host; give compiler='aot_eager', or no host")
        super().__post_init__()

    @property
    def has_budget(self) -> bool:
        """Whether memory is limited."""
        return self.total is not None or super().has_budget

    @property
    def measures_eager(self) -> bool:
        """Whether a budget may be a percentage of what the unplanned module takes; Inductor has its own to refer to."""
        return self.compiler != "inductor"

    def _check_shapes(self) -> None:
        if self.dynamic not in (None, False):
            raise TorchError(
                f"dynamic {self.dynamic!r} is not understood; give None (sizes that differ are captured once for all) "
                "or False (every shape by itself)"
            )
        if self.max_length is None:
            return
        if isinstance(self.max_length, bool) or not isinstance(self.max_length, int) or self.max_length < 1:
            raise TorchError(f"max_length {self.max_length!r} is not understood; give a number of one or more")
        if self.compiler == "inductor" or self.dynamic is False:
            raise TorchError(
                "max_length plans for the longest of many lengths, but compiler='inductor' and dynamic=False plan "
                "every shape by itself; give neither, or no max_length"
            )

    def link(self, graph: Graph, device: str = "cpu") -> HostLink | None:
        """The link that ``host`` stands for; that of this machine where it is to be measured.

        Args:
            graph: The step.
            device: Where it runs: ``"cpu"`` or ``"cuda"``.

        Raises:
            HcpError: If it is a text that is no bandwidth.
        """
        if self.host in (MEASURED, OVERLAPPED):
            return host_link(device, self.cache, overlap=self.host == OVERLAPPED)
        return super().link(graph)
