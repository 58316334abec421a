"""Two processes over gloo: planned modules inside DDP and FSDP2 train bit for bit as the same wrapper without hcp."""

import copy

import pytest

torch = pytest.importorskip("torch")

import torch.distributed as dist  # noqa: E402
from torch import multiprocessing  # noqa: E402
from torch.distributed.fsdp import fully_shard  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

from hcp.heuristics.eviction import Eviction  # noqa: E402
from hcp.integrations.torch import CaptureError, checkpoint, plan_of  # noqa: E402
from hcp.integrations.torch.demo.models import GPT  # noqa: E402
from tests.integration.training_steps import random_schedule  # noqa: E402

pytestmark = pytest.mark.skipif(not dist.is_gloo_available(), reason="needs gloo")


def drop(graph):
    return random_schedule(graph, 0.2, seed=3)


def in_ddp(model, plan):
    # Buckets so small that Dynamo would cut the model into several graphs.
    return DistributedDataParallel(plan(model), bucket_cap_mb=0.02)


def sharded_after(model, plan):
    return fully_shard(plan(model))


def sharded_before(model, plan):
    return plan(fully_shard(model))


def sharded_blocks(model, plan):
    for block in model.blocks:
        fully_shard(plan(block))
    return fully_shard(model)


WRAPPERS = {
    wrap.__name__: (wrap, parts)
    for wrap, parts in ((in_ddp, 1), (sharded_after, 1), (sharded_before, 1), (sharded_blocks, 1))
}


def train(model, tokens):
    torch.manual_seed(5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    found = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = model(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        optimizer.step()
        found.append(loss.detach())
    return [*found, *(p.full_tensor() if hasattr(p, "full_tensor") else p for p in model.parameters())]


def work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = GPT(layers=1, width=16, heads=2, context=8, vocabulary=32)
    tokens = torch.randint(0, 32, (4, 9), generator=torch.Generator().manual_seed(rank))
    for name, (wrap, parts) in WRAPPERS.items():
        mine, theirs = copy.deepcopy(model), copy.deepcopy(model)
        planned = []

        def plan(module, planned=planned):
            planned.append(module)
            return checkpoint(module, plan=drop)

        found = train(wrap(mine, plan), tokens)
        expected = train(wrap(theirs, lambda module: module), tokens)
        assert all(map(torch.equal, found, expected)), name
        # One plan for each module, not one for each bucket.
        assert [len(plan_of(module)) for module in planned] == [1] * parts, name
    mine = copy.deepcopy(model)
    sharded_blocks(mine, lambda module: module)
    with pytest.raises(CaptureError, match=r"Block 'blocks.0' in it is sharded by itself.*plan such parts"):
        checkpoint(mine, plan=drop)
    one_rank_plans(model, tokens, rank)
    dist.destroy_process_group()


def one_rank_plans(model, tokens, rank):
    """The ranks ask for the same step, then each for another, in another order: nobody waits for what never comes."""
    asked = []

    def solver(problem):
        asked.append(len(problem.graph.nodes))
        return Eviction()(problem)

    planned = checkpoint(copy.deepcopy(model), "80%", solver=solver, cache=False, quiet=True, dynamic=False)
    wrapped = DistributedDataParallel(planned)
    train(wrapped, tokens)
    found = [None, None]
    dist.all_gather_object(found, (len(asked), plan_of(wrapped)[0].schedule))
    assert sorted(count for count, _ in found) == [0, 1]
    assert found[0][1] == found[1][1]
    for rows in (1, 2, 3) if rank else (3, 1):
        with wrapped.no_sync():
            wrapped(tokens[:rows, :-1], tokens[:rows, 1:]).backward()
    dist.all_gather_object(found, len(asked))
    assert sum(found) == 4


def test_training_is_bit_exact_in_every_wrapper(tmp_path):
    multiprocessing.spawn(work, args=(str(tmp_path),), nprocs=2)
