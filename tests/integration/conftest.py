"""Integration tests keep their plans away from the user's own cache."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_plan_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HCP_CACHE", str(tmp_path_factory.mktemp("plans")))
        yield
