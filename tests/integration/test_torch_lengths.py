"""Sequences of many lengths: one capture and one plan serve them all, within the budget, with eager's gradients."""

import copy
from dataclasses import dataclass, field

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from hcp.heuristics.eviction import Eviction  # noqa: E402
from hcp.integrations.torch import TorchError, backend, checkpoint, plan_of, record  # noqa: E402
from tests.effort import slow, some  # noqa: E402

WIDTH = 16


class Reader(nn.Module):
    """A small causal transformer that gives its loss alone, so that planned and measured peaks agree to the byte."""

    def __init__(self, layers=1):
        super().__init__()
        self.embedding = nn.Embedding(32, WIDTH)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {"mix": nn.Linear(WIDTH, 3 * WIDTH), "up": nn.Linear(WIDTH, 64), "down": nn.Linear(64, WIDTH)}
            )
            for _ in range(layers)
        )

    def forward(self, ids):
        x = self.embedding(ids)
        for layer in self.layers:
            query, key, value = layer["mix"](x).chunk(3, dim=-1)
            scores = (query @ key.transpose(1, 2)).masked_fill(self.future(ids.shape[1]), float("-inf"))
            x = x + scores.softmax(-1) @ value
            x = x + layer["down"](functional.gelu(layer["up"](x)))
        return x.square().mean()

    def future(self, length):
        return torch.ones(length, length, dtype=torch.bool).triu(1)


@dataclass
class Counting:
    """Plans by eviction, and counts how often."""

    asked: list[int] = field(default_factory=list)

    def __call__(self, problem):
        self.asked.append(problem.budget)
        return Eviction()(problem)


def ids(length, batch=16):
    return torch.arange(length * batch).reshape(batch, length) % 32


def prepared(budget="80%", kind=Reader, **options):
    """A planned model, the same unplanned, and what plans."""
    torch.manual_seed(0)
    model, solver = kind(), Counting()
    reference = copy.deepcopy(model)
    checkpoint(model, budget, solver=solver, quiet=True, cache=False, **options)
    return model, reference, solver


def gradients(model, *args):
    for parameter in model.parameters():
        parameter.grad = None
    model(*args).backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def held(model, *args):
    """The peak of a step, its gradients included."""
    for parameter in model.parameters():
        parameter.grad = None
    return record(lambda: model(*args).backward()).peak


# Every other one of the first is tried everyday.
LENGTHS = some([48, 48, 12, 40, 47, 33, 48, 9, 17, 25, 31, 7, 20, 40, 15, 28, 41, 5, 46, 22], 10)


@pytest.mark.parametrize(
    "options", [pytest.param({}, id="as they come", marks=slow), pytest.param({"max_length": 48}, id="declared")]
)
def test_many_lengths_take_one_search(options):
    model, reference, solver = prepared(**options)
    for length in LENGTHS:
        torch.testing.assert_close(gradients(model, ids(length)), gradients(reference, ids(length)))
        plan = plan_of(model)[-1] if length not in LENGTHS[:-1] else None
        peak = held(model, ids(length))
        assert peak <= plan_of(model)[0].budget_bytes
        if plan is not None:
            assert peak == plan.peak_bytes
    assert len(solver.asked) == 1
    sources = [plan.source for plan in plan_of(model)]
    assert sources[0] == "planned"
    assert set(sources[1:]) == {"carried over"}


class Scorer(Reader):
    """Gives scores of every token, whose loss is the program's."""

    def forward(self, ids):
        return self.layers[0]["up"](self.embedding(ids) + super().forward(ids))


def loss_outside(model, given):
    functional.cross_entropy(model(given).flatten(0, 1), given.flatten()).backward()


def test_what_the_program_does_is_planned_with_once_for_all_lengths():
    model, reference, solver = prepared("80%", Scorer, max_length=48)
    for length in (40, 12, 33, 47, 9):
        for each in (model, reference):
            each.zero_grad()
            loss_outside(each, ids(length))
        for mine, eager in zip(model.parameters(), reference.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, eager.grad)
    # For the longest, before anything runs, and with what the first step showed.
    assert len(solver.asked) == 2
    longest, *others = plan_of(model)
    assert (longest.inputs, longest.source) == ("sequences of 48", "planned")
    assert {plan.source for plan in others} == {"carried over"}
    # The first length has not come again yet.
    assert [plan.between.dropped for plan in plan_of(model) if plan is not others[0]] == [{0}] * len(others)
    for length in (40, 48, 12):
        given = ids(length)
        loss_outside(model, given)
        model.zero_grad()
        peak = record(lambda given=given: loss_outside(model, given)).peak
        (plan,) = (plan for plan in plan_of(model) if plan.inputs == f"int64[16, {length}]")
        # What the loss takes is scaled from the first length, a few numbers of fixed size with it.
        assert plan.peak_bytes - 16 < peak <= plan.peak_bytes <= longest.budget_bytes
    assert len(solver.asked) == 2


def test_what_is_kept_whole_where_it_fits_costs_nothing():
    model, _, _ = prepared("80%", max_length=64)
    gradients(model, ids(8))
    longest, short = plan_of(model)
    assert longest.inputs == "sequences of 64"
    assert longest.overhead > 0
    assert short.overhead == 0
    assert short.budget_bytes == longest.budget_bytes
    gradients(model, ids(64))
    assert plan_of(model)[-1].overhead == longest.overhead
    assert held(model, ids(64)) == longest.peak_bytes


def test_a_longer_sequence_than_any_before_is_planned_anew_where_it_has_to_be():
    first, _, _ = prepared("80%")
    gradients(first, ids(24))
    budget = plan_of(first)[0].peak_bytes
    model, reference, solver = prepared(budget)
    for length in (24, 12, 25):
        torch.testing.assert_close(gradients(model, ids(length)), gradients(reference, ids(length)))
        assert held(model, ids(length)) <= budget
    assert len(solver.asked) == 2
    assert [plan.source for plan in plan_of(model)] == ["planned", "carried over", "planned"]


def test_batches_and_lengths_differ_at_once():
    model, reference, solver = prepared("80%")
    for length, batch in ((32, 16), (16, 9), (24, 5), (31, 12)):
        given = ids(length, batch)
        torch.testing.assert_close(gradients(model, given), gradients(reference, given))
        assert held(model, given) <= plan_of(model)[0].budget_bytes
    assert len(solver.asked) == 1


class Counts(Reader):
    """Changes a number of its own in each call, and reads a text that differs from call to call."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, ids, name=""):
        self.calls += 1
        return super().forward(ids) * (3 if name == "sample 3" else 2)


def test_counters_and_names_plan_nothing_anew():
    model, reference, solver = prepared("80%", Counts)
    for call in range(4):
        given = ids(16 + call % 2), f"sample {call}"
        torch.testing.assert_close(gradients(model, *given), gradients(reference, *given))
    assert model.calls == reference.calls == 4
    assert len(solver.asked) == 1
    before = len(plan_of(model))
    for _ in range(5):
        gradients(model, ids(16), "sample 2")
    assert model.calls == 9
    assert len(plan_of(model)) == before


def test_every_shape_by_itself_where_that_is_asked_for():
    model, reference, solver = prepared("80%", dynamic=False)
    lengths = range(8, 40, 7)
    for length in lengths:
        torch.testing.assert_close(gradients(model, ids(length)), gradients(reference, ids(length)))
    assert len(solver.asked) == len(lengths)
    assert {plan.source for plan in plan_of(model)} == {"planned"}


def test_forwards_of_several_lengths_before_their_backwards():
    model, reference, _ = prepared("80%", max_length=32)
    for each in (model, reference):
        for parameter in each.parameters():
            parameter.grad = None
        losses = [each(ids(length)) for length in (32, 10, 20)]
        sum(losses).backward()
    found, wanted = ([parameter.grad for parameter in each.parameters()] for each in (model, reference))
    torch.testing.assert_close(found, wanted)


def test_random_draws_are_those_of_the_unplanned_module():
    class Noisy(Reader):
        def forward(self, ids):
            return super().forward(ids) + functional.dropout(self.embedding(ids), 0.5).sum()

    torch.manual_seed(0)
    model = Noisy()
    reference = copy.deepcopy(model)
    checkpoint(model, "80%", solver="eviction", quiet=True, cache=False, max_length=32)
    for length in (32, 20, 9):
        states = []
        for each in (model, reference):
            torch.manual_seed(length)
            states.append((gradients(each, ids(length)), torch.get_rng_state()))
        torch.testing.assert_close(states[0], states[1])


def test_torch_compile_with_symbolic_shapes():
    torch.manual_seed(0)
    model = Reader()
    reference = copy.deepcopy(model)
    compiled = torch.compile(
        model, backend=backend("80%", solver="eviction", quiet=True, cache=False), fullgraph=True, dynamic=True
    )
    for length in (20, 30, 10):
        torch.testing.assert_close(gradients(compiled, ids(length)), gradients(reference, ids(length)))


class Divided(Reader):
    """Looks at its length, so that there is no program for any of them."""

    def forward(self, ids):
        return super().forward(ids[:, : len(range(ids.shape[1]))]) * sum(range(ids.shape[1]))


def test_a_module_that_cannot_be_captured_for_any_length_is_captured_for_each():
    torch.manual_seed(0)
    model = Divided()
    reference = copy.deepcopy(model)
    checkpoint(model, "80%", solver="eviction", quiet=True, cache=False)
    for length in (20, 12, 9):
        torch.testing.assert_close(gradients(model, ids(length)), gradients(reference, ids(length)))
        assert held(model, ids(length)) <= plan_of(model)[0].budget_bytes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dynamic": True}, "dynamic True is not understood"),
        ({"max_length": 0}, "max_length 0 is not understood"),
        ({"max_length": "long"}, "max_length 'long' is not understood"),
        ({"max_length": 9, "dynamic": False}, "plan every shape by itself"),
        ({"max_length": 9, "compiler": "inductor"}, "plan every shape by itself"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(TorchError, match=message):
        checkpoint(Reader(), "80%", **options)
