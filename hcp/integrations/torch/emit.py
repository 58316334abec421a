"""From a schedule to the forward and backward code that runs it: the order of the nodes *is* the schedule."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import fx
from torch.fx.node import Argument

from hcp.integrations.torch import engines, host
from hcp.integrations.torch.capture import Split
from hcp.integrations.torch.lower import BOUNDARY, LOSS, PLACE, Lowered, Place
from hcp.integrations.torch.program import Call
from hcp.schedule.actions import Compute, Fetch, Free, Offload, Schedule
from hcp.schedule.host import HostLink

Phase = Literal["forward", "backward"]


@dataclass(frozen=True, eq=False)
class _Instance:
    """One production of a tensor: in which half, and by which node of it."""

    phase: Phase
    node: fx.Node


def emit(lowered: Lowered, schedule: Schedule, link: HostLink | None = None) -> Split:
    """The two halves of a training step that run a schedule.

    Generated code drops each value, and each copy on the host, after its last use, which is what
    ``Schedule.from_steps`` says, so only the order of the steps is taken from the schedule. What the backward half
    needs of the forward half's productions becomes the saved tensors. Where the link's copies overlap the computation,
    a value that is on its way to the host is dropped where the schedule frees it.
    """
    return _Emitter(lowered, link).run(schedule)


@dataclass
class _Emitter:
    lowered: Lowered
    link: HostLink | None = None
    phase: Phase = "forward"
    graphs: dict[Phase, fx.Graph] = field(default_factory=lambda: {"forward": fx.Graph(), "backward": fx.Graph()})
    made: dict[fx.Node, _Instance] = field(default_factory=dict)
    copies: dict[fx.Node, _Instance] = field(default_factory=dict)
    viewed: dict[fx.Node, tuple[tuple[Argument, ...], fx.Node]] = field(default_factory=dict)
    saved: dict[fx.Node, fx.Node] = field(default_factory=dict)
    place: Place = field(default_factory=Place)
    # By value, the tensor that is copied, while that may be under way.
    leaving: dict[str, fx.Node] = field(default_factory=dict)
    arriving: dict[str, fx.Node] = field(default_factory=dict)
    # What the kernel at hand made so far.
    inside: dict[fx.Node, fx.Node] = field(default_factory=dict)

    def run(self, schedule: Schedule) -> Split:
        joint = self.lowered.program.joint
        for primal in joint.primals:
            self.made[primal] = _Instance("forward", self._placeholder(primal, primal.name))
        ran: set[str] = set()
        returned: list[Argument] = []
        for step in schedule.actions:
            if isinstance(step, Free):
                self._settle(step.value)
                continue
            if not isinstance(step, Compute):
                self._move(step)
                continue
            name = step.node
            self._await(name)
            if name == LOSS:
                continue
            if name == BOUNDARY:
                returned = [self._argument(out) for out in joint.outputs]
                self.phase = "backward"
                self.viewed.clear()
                self.inside.clear()
                for tangent in joint.tangents:
                    self.made[tangent] = _Instance("backward", self._placeholder(tangent, tangent.name))
            else:
                self._kernel(name, again=name in ran)
                ran.add(name)
        self.inside.clear()
        gradients = tuple(self._argument(gradient) for gradient in joint.gradients)
        self.graphs["forward"].output((*returned, *self.saved))
        self.graphs["backward"].output(gradients)
        halves = [fx.GraphModule(joint.module, self.graphs[phase]) for phase in ("forward", "backward")]
        return Split(*halves)

    def _move(self, step: Offload | Fetch) -> None:
        """Copies a value; the tensors over its storage share the copy."""
        out = isinstance(step, Offload)
        sources, targets = (self.made, self.copies) if out else (self.copies, self.made)
        link = self.link if self.link is not None and self.link.overlap else None
        owner: fx.Node | None = None
        for tensor in self._tensors.get(step.value, ()):
            source = self._local(sources[tensor])
            if owner is not None:
                call = Call(host.placed, (owner, source))
            elif out:
                limited = {"limited": True} if link and link.capacity is not None else {}
                call = Call(engines.send if link else host.to_host, (source,), limited)
            else:
                call = Call(engines.fetch if link else host.to_device, (source, tensor.meta["val"].device))
            copy = self._call(call, self._on_host(tensor) if out else tensor)
            if owner is None:
                owner = copy
                (self.leaving if out else self.arriving).update({step.value: tensor} if link else {})
            targets[tensor] = _Instance(self.phase, copy)

    def _await(self, name: str) -> None:
        """Waits for what a node reads, and for copies of what it makes afresh."""
        node = self.lowered.graph.node[name]
        for value in node.inputs:
            self._arrive(value)
        for made in node.outputs:
            self._settle(made.name)

    def _arrive(self, value: str) -> None:
        tensor = self.arriving.pop(value, None)
        if tensor is not None:
            self._wait(Call(engines.arrived, (self._local(self.made[tensor]),)))

    def _settle(self, value: str) -> None:
        """Waits for the copies of a value that are under way, before it goes."""
        self._arrive(value)
        tensor = self.leaving.pop(value, None)
        if tensor is not None:
            both = self._local(self.copies[tensor]), self._local(self.made[tensor])
            self._wait(Call(engines.sent, both))

    def _wait(self, call: Call) -> None:
        self._note(self.graphs[self.phase].call_function(call.target, call.args), {"val": None})

    @cached_property
    def _tensors(self) -> dict[str, list[fx.Node]]:
        """The tensors that are fresh storages of each value."""
        found: dict[str, list[fx.Node]] = {}
        for tensor, value in self.lowered.value_of.items():
            found.setdefault(value, []).append(tensor)
        return found

    def _on_host(self, tensor: fx.Node) -> torch.Tensor:
        """The example of a tensor's copy."""
        like = tensor.meta["val"]
        with self.lowered.program.joint.fake_mode:
            return torch.empty_strided(like.shape, like.stride(), dtype=like.dtype)

    def _kernel(self, name: str, *, again: bool) -> None:
        self.inside.clear()
        libraries = self.lowered.libraries
        if libraries is not None:
            # What two kernels share would be stored for the second.
            self.viewed.clear()
        for node in self.lowered.computes[name]:
            self._compute(node, again=again)
        self.place = Place(self.place.kernel + 1, self.place.segment + (name in (libraries or ())))

    def _compute(self, node: fx.Node, *, again: bool) -> None:
        program = self.lowered.program
        call = Call(node.target, node.args, dict(node.kwargs))
        if again:
            call = program.again.get(node, call)
        made = self._call(call, node)
        self._bind(node, made)
        if not isinstance(node.meta["val"], list | tuple):
            return
        # All items are taken at once: the tuple would keep every output alive for as long as it lives itself.
        for item in node.users:
            if item in self.lowered.value_of or self.lowered.libraries is not None:
                self._bind(item, self._call(Call(item.target, (made, item.args[1])), item))

    def _bind(self, tensor: fx.Node, made: fx.Node) -> None:
        self.inside[tensor] = made
        if tensor not in self.lowered.value_of:
            return
        value = self.lowered.graph.values[self.lowered.value_of[tensor]]
        if not (value.resident and tensor in self.made):
            self.made[tensor] = _Instance(self.phase, made)

    def _call(self, call: Call, like: fx.Node | torch.Tensor) -> fx.Node:
        args, kwargs = fx.node.map_arg((call.args, call.kwargs), self._argument_or_own)
        made = self.graphs[self.phase].call_function(call.target, args, kwargs)
        self._note(made, like.meta if isinstance(like, fx.Node) else {"val": like})
        return made

    def _note(self, made: fx.Node, meta: Mapping[str, Any]) -> None:
        made.meta.update(meta)
        made.meta[PLACE] = self.place

    def _argument_or_own(self, node: fx.Node) -> Argument:
        return node if node.graph is self.graphs[self.phase] else self._argument(node)

    def _argument(self, node: Argument) -> Argument:
        """What stands for a node of the program in the half at hand."""
        if not isinstance(node, fx.Node):
            return node
        if node in self.lowered.views:
            return self._view(node)
        if node in self.inside:
            return self.inside[node]
        if node in self.made:
            return self._local(self.made[node])
        if node.op == "get_attr":
            attribute = self.graphs[self.phase].get_attr(str(node.target))
            attribute.meta["val"] = node.meta.get("val")
            return attribute
        literal: Argument = node.meta["val"]
        return literal

    def _view(self, node: fx.Node) -> fx.Node:
        sources = tuple(self._argument(source) for source in node.all_input_nodes)
        known = self.viewed.get(node)
        if known is not None and known[0] == sources:
            return known[1]
        stand_in = dict(zip(node.all_input_nodes, sources, strict=True))
        args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), stand_in.__getitem__)
        made = self.graphs[self.phase].call_function(node.target, args, kwargs)  # type: ignore[arg-type]
        self._note(made, node.meta)
        self.viewed[node] = (sources, made)
        return made

    def _local(self, instance: _Instance) -> fx.Node:
        if instance.phase == self.phase:
            return instance.node
        if instance.node not in self.saved:
            # Compilers tell what is there all along from what goes with its last reader by the name.
            is_primal = instance.node.op == "placeholder"
            name = instance.node.name if is_primal else f"saved_{len(self.saved)}"
            self.saved[instance.node] = self._placeholder(instance.node, name)
        return self.saved[instance.node]

    def _placeholder(self, like: fx.Node, name: str) -> fx.Node:
        graph = self.graphs[self.phase]
        # Saved tensors come before the tangents, in the order of ``saved``.
        place = next((node for node in graph.nodes if node.op != "placeholder" or "tangents" in node.name), None)
        if place is None or "tangents" in name:
            place = next((node for node in graph.nodes if node.op != "placeholder"), None)
        with nullcontext() if place is None else graph.inserting_before(place):
            made = graph.placeholder(name)
        made.meta["val"] = like.meta["val"]
        return made
