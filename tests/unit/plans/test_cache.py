"""Plans in the cache: by what decides them, and only whole ones."""

import pytest

import hcp as api
from hcp.graph.instances import unet
from hcp.plans.cache import CacheWarning, PlanCache, key_of


def test_plans_are_cached_by_their_link(tmp_path):
    graph = unet(3)
    host = api.HostLink(10**12, 10**12)
    plain, moved = (api.Problem(graph, 1000, host=link) for link in (None, host))
    keys = [key_of(problem, api.Limits(), "eviction") for problem in (plain, moved)]
    assert keys[0] != keys[1]
    plan = api.solve(graph, 1000, "eviction", host=host)
    PlanCache(tmp_path).keep(keys[1], plan)
    found, _ = PlanCache(tmp_path).find(keys[1], moved)
    assert found.schedule == plan.schedule
    (tmp_path / f"{keys[1]}.json").rename(tmp_path / f"{keys[0]}.json")
    with pytest.warns(CacheWarning, match="another problem"):
        assert PlanCache(tmp_path).find(keys[0], plain) is None
