"""The framework of docs/adding-a-framework.md: planned steps are those of the plain run, within what was promised."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from examples.tape.callbacks import run_by_callbacks
from examples.tape.capture import capture
from examples.tape.emit import emit
from examples.tape.framework import METER, empty
from examples.tape.planned import planned, run_unplanned
from examples.tape.request import TapeError, TapeRequest
from hcp import InfeasibleBudget, keep_everything, replay, solve
from hcp.runtime import FallbackWarning
from hcp.schedule.actions import Compute, Free, Schedule

LAYERS = 8
WIDTH = 16
QUIET = {"solver": "eviction", "cache": False, "quiet": True}


def model(tape, parameters, batch):
    """Layers with a skip connection and with weights that are used twice."""
    x = batch["x"]
    for layer in range(LAYERS):
        x = tape.apply("add", x, tape.apply("tanh", tape.apply("product", x, parameters[f"w{layer // 2}"])))
    return tape.apply("loss", x, batch["target"])


def arrays(rows=64):
    source = np.random.default_rng(0)

    def drawn(shape):
        array = empty(shape)
        array[...] = source.standard_normal(shape) / 4
        return array

    parameters = {f"w{layer}": drawn((WIDTH, WIDTH)) for layer in range(LAYERS // 2)}
    return parameters, {name: drawn((rows, WIDTH)) for name in ("x", "target")}


def captured(rows=64):
    return capture(model, *({name: array.shape for name, array in part.items()} for part in arrays(rows)), "step")


def assert_same(found, expected):
    assert found[0] == expected[0]
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        assert gradient.any()
        assert np.array_equal(found[1][name], gradient), name


def test_the_plain_run_has_the_gradients():
    parameters, batch = arrays()
    step = captured()
    loss, gradients = run_unplanned(step, parameters | batch)
    slope = np.float32(1e-2)
    for name, gradient in gradients.items():
        moved = parameters | {name: parameters[name] + slope * gradient / np.linalg.norm(gradient)}
        (more,), _ = run_unplanned(step, moved | batch)
        assert (more - loss[0]) / slope == pytest.approx(np.linalg.norm(gradient), rel=0.05)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "callbacks"])
@pytest.mark.parametrize("budget", ["100%", "70%", "50%"])
def test_gradients_are_equal_to_the_bit_and_the_peak_is_the_planned_one(budget, compiled):
    given = arrays()
    expected, everything = METER.measure(lambda: run_unplanned(captured(), given[0] | given[1]))
    step = planned(model, budget, compiled=compiled, **QUIET)
    step(*given)
    found, peak = METER.measure(lambda: step(*given))
    assert_same(found, expected)
    (plan,) = step.plans
    assert peak == plan.peak_bytes <= plan.budget_bytes < everything
    assert (plan.overhead > 0) == (budget != "100%")


@pytest.mark.parametrize("run", [run_by_callbacks, lambda step, plan, given: emit(step, plan.schedule)(given)])
def test_any_legal_schedule_can_be_run(run):
    """Also one that makes again what is there, and what stays to the end."""
    step = captured()
    kept = keep_everything(step.graph)
    gradient = next(iter(step.gradients.values()))
    after = next(k for k, action in enumerate(kept.actions) if action == Compute(gradient)) + 1
    again = Schedule((*kept.actions[:after], Compute(gradient), *kept.actions[after:]))
    parameters, batch = arrays()
    expected = run_unplanned(step, parameters | batch)
    plan = solve(step.graph, "100%", "keep_all")
    for schedule in (kept, again):
        usage = replay(step.graph, schedule)
        made, peak = METER.measure(
            lambda schedule=schedule: run(step, replace(plan, schedule=schedule), parameters | batch)
        )
        assert peak == usage.peak
        assert_same((made[step.loss], {name: made[own] for name, own in step.gradients.items()}), expected)
    assert not any(isinstance(action, Free) and action.value == gradient for action in again.actions)


def test_plans_are_made_once_and_can_be_given(tmp_path, capsys):
    given = arrays()
    options = QUIET | {"cache": tmp_path, "quiet": False}
    first, second = planned(model, "60%", **options), planned(model, "60%", **options)
    assert_same(first(*given), second(*given))
    first(*given)
    first(*arrays(rows=32))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["planning", "tape", "took", "planning", "tape"]
    assert len(first.plans) == 2
    assert len(list(tmp_path.iterdir())) == 2
    third = planned(model, plan=first.plans[0], **QUIET)
    assert_same(third(*given), first(*given))
    assert third.plans[0].schedule == first.plans[0].schedule
    with pytest.raises(TapeError, match="made for another graph"):
        third(*arrays(rows=32))


def test_what_cannot_run_planned_is_an_error_or_warns():
    given = arrays()
    with pytest.raises(InfeasibleBudget, match=r"no schedule fits 1000 bytes.*smallest budget known"):
        planned(model, 1000, **QUIET)(*given)
    allowed = planned(model, 1000, fallback="warn", **QUIET)
    with pytest.warns(FallbackWarning, match="the step runs unplanned: no schedule fits") as caught:
        found = allowed(*given)
    assert Path(caught[0].filename) == Path(__file__)
    assert_same(found, run_unplanned(captured(), given[0] | given[1]))
    with pytest.raises(TapeError, match="'keep_all' found no plan for tape step within '50%'"):
        planned(model, "50%", **QUIET | {"solver": "keep_all"})(*given)
    with pytest.raises(TapeError, match="neither a budget nor a plan"):
        planned(model)
    with pytest.raises(TapeError, match="leave host out"):
        TapeRequest(budget="50%", host="1GiB/s")


def test_the_guide_names_the_files_that_there_are():
    root = Path(__file__).parents[2]
    guide = (root / "docs" / "adding-a-framework.md").read_text(encoding="utf-8")
    files = {path.name for path in (root / "examples" / "tape").glob("*.py")} - {"__init__.py", "framework.py"}
    headings = [line.partition("`")[2].partition("`")[0] for line in guide.splitlines() if line.startswith("## ")]
    assert {name for name in headings if name} == files
