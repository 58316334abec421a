"""Models in files: other solvers find the same optima, and columns say what runs."""

import json

import highspy
import pytest

import hcp
from hcp.graph.instances import random_graph, unet
from hcp.schedule.budget import parse_budget
from hcp.solvers.exhaustive import least_peak
from hcp.solvers.models.export import MODELS, export_model


def solved(path):
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    assert solver.readModel(str(path)) == highspy.HighsStatus.kOk
    solver.run()
    values = dict(zip(solver.getLp().col_names_, solver.getSolution().col_value, strict=True))
    return solver.getModelStatus(), solver.getInfo().objective_function_value, values


@pytest.mark.parametrize("suffix", [".mps", ".lp"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seed", range(6))
def test_another_reader_finds_the_optimum(tmp_path, model, suffix, seed):
    graph = random_graph(5, seed, edge_probability=0.4)
    budget = least_peak(graph)
    beside = export_model(graph, budget, model, tmp_path / f"it{suffix}")
    status, value, values = solved(tmp_path / f"it{suffix}")
    optimum = hcp.solve(graph, budget, "exhaustive").cost
    if model == "cuts":
        assert status == highspy.HighsModelStatus.kOptimal
        assert graph.base_cost <= round(value) <= optimum
    elif status == highspy.HighsModelStatus.kOptimal:
        # Schedules in the graph's order may need more, and cost as much at least.
        assert round(value) == hcp.solve(graph, budget, "staged", order=graph.order).cost >= optimum
    listed = json.loads(beside.read_text())
    assert set(listed["columns"]) <= set(values)
    for kind, name, stage in listed["columns"].values():
        assert name in (graph.node if kind in "CR" else graph.values)
        assert 0 <= stage <= len(listed["stages"])


def test_a_solution_says_what_runs(tmp_path):
    graph = unet(3)
    budget = parse_budget("70%", graph)
    beside = export_model(graph, budget, "staged", tmp_path / "it.mps")
    _, value, values = solved(tmp_path / "it.mps")
    columns = json.loads(beside.read_text())["columns"]
    again = sum(graph.node[columns[name][1]].cost for name, x in values.items() if x > 0.5 and name.startswith("R_"))
    assert graph.base_cost + again == round(value)


@pytest.mark.parametrize(
    ("model", "file", "said"), [("magic", "it.mps", "choose one of cuts"), ("cuts", "it.txt", ".mps, .lp")]
)
def test_bad_choices_are_refused(tmp_path, model, file, said):
    with pytest.raises(hcp.HcpError, match=said):
        export_model(unet(3), 10**6, model, tmp_path / file)
    with pytest.raises(hcp.HcpError, match="nodes on engines"):
        export_model(hcp.on_engines(unet(3), {"v3": "network"}), 10**6, "cuts", tmp_path / "it.mps")
