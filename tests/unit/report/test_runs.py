"""Result files of executed benchmarks as runs."""

import pytest

import hcp
from hcp.report.runs import executed_runs

RAN = {"model": "gpt", "method": "hcp at 50%", "peak_bytes": 450, "step_ms": 12.0}
FAILED = {"model": "gpt", "method": "inductor", "error": "its process ended with exit code -9 and no answer"}


def test_ways_that_failed_are_left_out():
    (run,) = executed_runs({"rows": [FAILED, RAN]})["gpt"]
    assert (run.label, run.peak_bytes, run.seconds) == ("hcp", 450, 0.012)
    with pytest.raises(hcp.HcpError, match="no rows of what ran"):
        executed_runs({"rows": [FAILED]})
