"""Certificates in files: those written before still prove their bounds, and other versions are refused."""

import hashlib
import json
from pathlib import Path

import pytest

from hcp.graph.engines import on_engines
from hcp.graph.errors import GraphError
from hcp.graph.instances import instance
from hcp.solvers.certificates.file import READERS, read_certificate
from hcp.solvers.cut_relaxation.chains import candidate_chains
from hcp.solvers.cut_relaxation.families import FAMILIES
from hcp.solvers.cut_relaxation.model import ROWS_VERSION, build_cut_model
from hcp.solvers.fixed_order.stages import END_ROWS_VERSION, build_stage_grid, build_stage_model

WRITTEN = json.loads(Path(__file__).with_name("written.json").read_text())

# What the rows are in each version, whatever their order. Where one of these fails, rows or their names have changed,
# and with them what the multipliers of old files mean: raise the version beside the code that builds them, add the new
# digest here, and say in docs/format.md what is new.
CUT_ROWS = {2: "674e9177d1851986"}
END_ROWS = {2: "44bb531130f0c92b"}


def graph_of(entry):
    return on_engines(instance(entry["graph"]), entry.get("engines", {}))


def name_of(entry):
    return f"{entry['certificate']['kind']}-{entry['of']}-{entry['graph']}"


@pytest.mark.parametrize("entry", WRITTEN, ids=name_of)
def test_a_file_written_before_still_proves_its_bound(entry):
    graph = graph_of(entry)
    certificate = read_certificate(entry["certificate"], "the certificate", graph)
    assert certificate.of == entry["of"]
    assert certificate.proven(graph, entry["budget"]) == entry["value"]
    assert read_certificate(certificate.to_dict(graph), "the certificate", graph) == certificate


def test_they_are_of_every_kind():
    assert {entry["certificate"]["kind"].partition("/")[0] for entry in WRITTEN} == {known.name for known in READERS}


@pytest.mark.parametrize("kind", ["cut-relaxation", "cut-relaxation/1", "conflicts/1"])
def test_earlier_versions_are_refused(kind):
    entry = WRITTEN[0]
    known = f"{kind.partition('/')[0]}/2"
    with pytest.raises(GraphError, match=f"'{kind}', but this hcp reads '{known}': plan again"):
        read_certificate(entry["certificate"] | {"kind": kind}, "the certificate", instance(entry["graph"]))


def test_without_a_version_it_is_the_first():
    entry = next(entry for entry in WRITTEN if entry["certificate"]["kind"] == "host/1")
    graph = instance(entry["graph"])
    certificate = read_certificate(entry["certificate"] | {"kind": "host"}, "the certificate", graph)
    assert certificate.proven(graph, entry["budget"]) == entry["value"]


@pytest.mark.parametrize("known", READERS, ids=str)
def test_another_version_is_refused_with_what_to_do(known):
    entry = next(entry for entry in WRITTEN if entry["certificate"]["kind"].startswith(known.name))
    later = f"{known.name}/{known.version + 1}"
    with pytest.raises(GraphError, match=f"'{later}', but this hcp reads '{known}': plan again"):
        read_certificate(entry["certificate"] | {"kind": later}, "the certificate", graph_of(entry))


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(GraphError, match="expected one of 'cut-relaxation/2', "):
        read_certificate({"kind": "hearsay/1"}, "the certificate", instance("unet:2"))


def test_names_of_formats_differ():
    for formats in ([family.format for family in FAMILIES], list(READERS)):
        assert len({known.name for known in formats}) == len(formats)


def digest(models):
    found = hashlib.sha256()
    for model in models:
        matrix = model.matrix.copy()
        matrix.sort_indices()
        for key, row in sorted(model.row_of.items()):
            span = slice(*matrix.indptr[row : row + 2])
            entries = list(zip(matrix.indices[span].tolist(), matrix.data[span].tolist(), strict=True))
            found.update(f"{tuple(key)} {entries} {model.rhs[row]}".encode())
        found.update(f"{model.cost.tolist()} {model.constant}".encode())
    return found.hexdigest()[:16]


def test_every_row_has_a_name_of_its_own():
    for graph in map(instance, GRAPHS):
        budget = int(graph.index.floor.max()) * 2
        grid = build_stage_grid(graph.index, budget, tuple(graph.index.order.tolist()))
        models = [build_cut_model(graph.index, budget, chain).model for chain in candidate_chains(graph)]
        for model in (*models, build_stage_model(grid, budget).model):
            assert len(model.row_of) == model.shape[0]


GRAPHS = ("unet:3", "transformer:1", "random-layered:4", "training-chain:6")


def test_rows_of_the_cut_relaxation_change_with_their_version():
    models = [
        build_cut_model(graph.index, int(graph.index.floor.max()) * 2, chain).model
        for graph in map(instance, GRAPHS)
        for chain in candidate_chains(graph, (4, 8, 16, 32, 70))
    ]
    assert digest(models) == CUT_ROWS[ROWS_VERSION]


def test_end_rows_change_with_their_version():
    models = []
    for graph in map(instance, GRAPHS):
        budget = int(graph.index.floor.max()) * 2
        grid = build_stage_grid(graph.index, budget, tuple(graph.index.order.tolist()))
        models.append(build_stage_model(grid, budget).model)
    assert digest(models) == END_ROWS[END_ROWS_VERSION]
