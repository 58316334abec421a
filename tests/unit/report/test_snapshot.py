"""Plans as memory snapshots: an allocator that holds what replay holds, which PyTorch's own readers take."""

import pickle
import pickletools

import pytest

import hcp
from hcp.graph.instances import training_chain
from hcp.report.snapshot import save_snapshot, to_snapshot
from hcp.schedule.actions import Compute
from tests.unit.report.plans import KINDS, plan_of

# What the viewer at pytorch.org/memory_viz reads.
OPCODES = {
    *("APPEND", "APPENDS", "BINGET", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINPUT", "BINUNICODE", "DICT"),
    *("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "FRAME", "LIST", "LONG1", "LONG_BINGET", "LONG_BINPUT", "MARK"),
    *("MEMOIZE", "NEWFALSE", "NEWTRUE", "NONE", "PROTO", "SETITEM", "SETITEMS", "SHORT_BINUNICODE", "STOP"),
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
}


@pytest.fixture(params=KINDS)
def plan(request):
    return plan_of(request.param)


def held_by_step(events):
    """The most that is held during each step, which the innermost frame of what it makes tells."""
    live, held, most = {}, 0, {}
    for event in events:
        if event["action"] == "alloc":
            assert event["addr"] not in live
            live[event["addr"]] = event["size"]
            held += event["size"]
            most[event["frames"][0]["line"]] = held
        elif event["action"] == "free_completed":
            assert live.pop(event["addr"]) == event["size"]
            held -= event["size"]
    return most, live


def test_it_holds_what_replay_holds(plan):
    ((grown, *events),) = to_snapshot(plan)["device_traces"]
    most, live = held_by_step(events)
    assert max(most.values()) == plan.usage.peak
    assert sum(live.values()) == plan.usage.final
    for step, held in most.items():
        assert held == plan.usage.profile[step]
    computes = [i for i, step in enumerate(plan.schedule.steps) if isinstance(step, Compute)]
    sizes = [plan.graph.node[plan.schedule.steps[i].node] for i in computes]
    made = {i for i, node in zip(computes, sizes, strict=True) if node.workspace + sum(v.bytes for v in node.outputs)}
    assert made <= most.keys()
    assert [event["time_us"] for event in events] == sorted(event["time_us"] for event in events)
    assert grown["action"] == "segment_alloc"


def test_blocks_do_not_overlap_and_fill_the_segment(plan):
    snapshot = to_snapshot(plan)
    (segment,) = snapshot["segments"]
    start, end = segment["address"], segment["address"] + segment["total_size"]
    for block in segment["blocks"]:
        assert block["address"] == start
        start += block["size"]
    assert start == end
    live = {}
    for event in snapshot["device_traces"][0][1:]:
        low, high = event["addr"], event["addr"] + event["size"]
        if event["action"] == "alloc":
            assert segment["address"] <= low < high <= end
            assert all(high <= other or low >= top for other, top in live.items())
            live[low] = high
        elif event["action"] == "free_completed":
            del live[low]
    active = {block["address"]: block["address"] + block["size"] for block in segment["blocks"] if block["frames"]}
    assert active == live


def test_frames_say_what_takes_the_memory_and_which_code_asked_for_it():
    model = hcp.Node("mm", "aten.mm", outputs=(hcp.Value("x", 4),), workspace=2, source="layers.3.attn: model.py:120")
    graph = hcp.Graph((model, hcp.Node("last", inputs=("x", "given"))), (hcp.Value("given", 1, "input"),))
    events = to_snapshot(hcp.solve(graph, "100%", "keep_all"))["device_traces"][0]
    frames = {event["size"]: event["frames"] for event in events if event["action"] == "alloc"}
    assert frames[1] == [{"filename": "input", "line": 0, "name": "given"}]
    where = [
        {"filename": "operation", "line": 0, "name": "aten.mm"},
        {"filename": "model.py", "line": 120, "name": "layers.3.attn"},
    ]
    assert frames[4] == [{"filename": "step", "line": 0, "name": "x (mm)"}, *where]
    assert frames[2] == [{"filename": "step", "line": 0, "name": "workspace of mm (mm)"}, *where]


def test_the_viewer_reads_its_opcodes(plan, tmp_path):
    save_snapshot(plan, tmp_path / "plan.pickle")
    content = (tmp_path / "plan.pickle").read_bytes()
    assert {opcode.name for opcode, *_ in pickletools.genops(content)} <= OPCODES
    assert pickle.loads(content) == to_snapshot(plan)


def test_pytorch_reads_it(plan):
    viz = pytest.importorskip("torch.cuda._memory_viz")
    snapshot = to_snapshot(plan)
    events = snapshot["device_traces"][0]
    told = viz.trace(snapshot).splitlines()
    assert told[1] == f"{len(events)} entries"
    assert sum(" = " in line for line in told) == sum("alloc" in event["action"] for event in events)
    # This one raises where a segment and its blocks do not add up.
    assert "segments: 1\n" in viz.segsum(snapshot)
    folded = viz.memory(snapshot, format_flamegraph=str)
    sizes = [int(line.rsplit(" ", 1)[1]) for line in folded.splitlines() if ";active_allocated;" in line]
    # Names that break lines break this text format; their sizes are at the ends of their lines.
    assert sum(sizes) == plan.usage.final or plan is plan_of("hostile")
    for plot in (viz.trace_plot, viz.segment_plot):
        assert "snapshot.pickle" in plot(snapshot)


def test_a_plan_that_holds_nothing():
    graph = hcp.Graph((hcp.Node("a", outputs=(hcp.Value("x", 0),)), hcp.Node("b", inputs=("x",))))
    assert to_snapshot(hcp.solve(graph, 1, "keep_all")) == {"segments": [], "device_traces": [[]]}


def test_there_is_nothing_to_show_without_a_schedule(tmp_path):
    with pytest.raises(hcp.HcpError, match="found no schedule"):
        save_snapshot(hcp.solve(training_chain(5), 5, "keep_all"), tmp_path / "plan.pickle")
    assert not list(tmp_path.iterdir())
