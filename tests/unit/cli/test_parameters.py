"""Parameters on the command line: files that are read, planners that are printed, and what both change."""

from dataclasses import dataclass, replace

import pytest

import hcp
from hcp.cli.parameters import params_of, updated
from hcp.cli.toml import read_toml
from hcp.graph.errors import HcpError
from hcp.graph.instances import instance
from hcp.planners import PLANNERS, planner_named
from hcp.planning.compilation import compile_parts
from hcp.planning.parameters import Count, Params, Share
from hcp.portfolio import Auto, AutoParams
from hcp.solvers.memetic import MemeticParams


@dataclass(frozen=True)
class Inner(Params):
    share: Share = 0.5
    pair: tuple[float, float] = (1.0, 2.0)


@dataclass(frozen=True)
class Item(Params):
    name: str
    count: Count = 1


@dataclass(frozen=True)
class Outer(Params):
    inner: Inner = Inner()
    items: tuple[Item, ...] = ()
    sizes: tuple[Count, ...] = (1,)
    on: bool = False


def read(text, tmp_path, record=None):
    path = tmp_path / "p.toml"
    path.write_text(text)
    return updated(Outer() if record is None else record, read_toml(path, "params file"), "params file 'p.toml'")


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    text = """
        on = true
        sizes = [3, 4]
        items = [{ name = "a" }, { name = "b", count = 2 }]
        [inner]
        share = 1
    """
    assert read(text, tmp_path) == Outer(Inner(1.0), (Item("a"), Item("b", 2)), (3, 4), True)
    assert isinstance(read(text, tmp_path).inner.share, float)
    before = Outer(Inner(0.25, (3.0, 4.0)))
    assert read("[inner]\npair = [5, 6]", tmp_path, before) == Outer(Inner(0.25, (5.0, 6.0)))
    assert read("", tmp_path, before) == before


def test_named_tuples_are_tables(tmp_path):
    text = '[[near]]\nname = "x"\n[near.cooling.mix]\nfar = 0.5'
    (run,) = read(text, tmp_path, MemeticParams()).near
    assert run.cooling.mix == run.cooling.mix._replace(far=0.5, shift=0.08)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("speed = 3", "params file 'p.toml' has unknown key 'speed'; choose from inner, items, sizes, on"),
        ("[inner]\nspeed = 3", "params file 'p.toml': inner has unknown key 'speed'; choose from share, pair"),
        ("on = 1", "params file 'p.toml': on is 1; expected true or false"),
        ("inner = 1", "inner is 1; expected a table"),
        ("[inner]\nshare = 'x'", "inner: share is 'x'; expected a number"),
        ("[inner]\nshare = true", "inner: share is True; expected a number"),
        ("[inner]\nshare = 2", "inner: share is 2.0; expected a number of at least 0 and at most 1"),
        ("[inner]\npair = [1]", r"pair is \[1\]; expected a list of 2"),
        ("sizes = 3", "sizes is 3; expected a list"),
        ("sizes = [1, 2.5]", r"sizes\[1\] is 2.5; expected a whole number"),
        ("sizes = [-1]", "sizes is -1; expected a whole number of at least 0"),
        ("items = [{ count = 2 }]", r"items\[0\] lacks 'name'; give name, count"),
        ("items = [{ name = 2 }]", r"items\[0\]: name is 2; expected a text"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(HcpError, match=message):
        read(text, tmp_path)


@pytest.mark.parametrize("name", PLANNERS)
def test_what_is_printed_can_be_read_and_is_what_is_used(hcp, tmp_path, name):
    code, out, err = hcp("planners", name)
    assert (code, err) == (0, "")
    assert out.startswith(f"# {name}: ")
    params = params_of(planner_named(name))
    if params is None:
        assert "no parameters" in out
        return
    (tmp_path / "all.toml").write_text(out)
    assert read(out, tmp_path, params) == params
    # A file that names everything needs no defaults.
    assert set(read_toml(tmp_path / "all.toml", "file")) == set(vars(params))


def test_planners_print_options_and_what_they_decide(hcp):
    out = hcp("planners", "milp")[1]
    assert "# A solver's name as PuLP lists it.\n# option backend = 'HiGHS'\n" in out
    assert "# Share of the remaining time for the first bounds.\nroot_share = 0.3\n" in out
    code, _, err = hcp("planners", "nobody")
    assert code == 2
    assert "unknown solver 'nobody'" in err


@pytest.fixture
def compiled():
    """Members of auto take other turns while they are being compiled."""
    compile_parts()


LEAVE_OUT = "quick_share = 0\ncompiling_share = 0\nproof_share = 0\nweak_share = 0\n[search]\nroot_share = 0\n"


def test_members_without_a_share_are_left_out(hcp, compiled, tmp_path):
    (tmp_path / "p.toml").write_text(LEAVE_OUT)
    arguments = ("solve", "transformer:2", "-b", "70%", "-t", 3, "--verbose")
    usual = hcp(*arguments)[2]
    code, _, err = hcp(*arguments, "--params", tmp_path / "p.toml")
    assert code == 0
    for phase in ("conflicts", "linear relaxation"):
        assert phase in usual
        assert phase not in err
    assert "annealing" in err


def test_parameters_reach_the_members_from_python(compiled):
    graph = instance("transformer:2")
    phases = set()
    params = AutoParams()
    params = replace(
        params,
        search=replace(params.search, root=replace(params.search.root, first_conflict_share=0.0, conflict_share=0.0)),
    )
    plan = hcp.solve(graph, "70%", Auto(params), time_limit=3, monitor=lambda news: phases.add(news.phase))
    assert plan.schedule is not None
    assert "linear relaxation" in phases
    assert "conflicts" not in phases


@pytest.mark.parametrize(
    ("solver", "text", "message"),
    [
        ("auto", "speed = 3", "has unknown key 'speed'; choose from quick_share"),
        ("auto", "[memetic]\ngrowth = 0.5", "memetic: growth is 0.5; expected a number of at least 1"),
        ("auto", "quick_share = [", "is not TOML"),
        ("auto", None, "cannot read params file"),
        ("keep_all", "", "solver 'keep_all' has no parameters; leave out --params"),
    ],
)
def test_bad_files_are_refused_in_one_line(hcp, tmp_path, solver, text, message):
    path = tmp_path / "p.toml"
    if text is not None:
        path.write_text(text)
    code, _, err = hcp("solve", "unet:2", "-b", "80%", "-s", solver, "--params", path)
    assert code == 2
    assert err.count("\n") == 1
    assert message in err
