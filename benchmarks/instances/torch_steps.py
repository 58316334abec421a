"""Instances captured in PyTorch: training steps at a GPU's costs, made of shapes alone, and Inductor's kernels."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from benchmarks.instances.models import DLRM, DenseNet, DiffusionUNet, MessagePassing, Recurrent
from benchmarks.instances.specs import Spec
from benchmarks.torch_models import Llama, ViT
from hcp.graph.ir import Graph
from hcp.integrations.devices import DEVICES
from hcp.integrations.torch import capture_graph, from_pytorch_fx
from hcp.integrations.torch.ahead.steps import Steps, cost_on
from hcp.integrations.torch.ahead.weightless import dtype_named, faked, made
from hcp.integrations.torch.demo.models import GPT, ResNet, UNet

_DEVICE: Final = "h100-80gb"
_COSTS: Final = f"nanoseconds of {DEVICES[_DEVICE].title}'s roofline, {DEVICES[_DEVICE].source}"
_CPU: Final = "nanoseconds of hcp's roofline for a CPU"
_LLAMA3_8B: Final = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "rope_theta": 500000.0,
}
_QWEN3_600M: Final = {
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
_GEMMA2_2B: Final = {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "vocab_size": 256000,
    "sliding_window": 4096,
}
_GPT2: Final = {
    "n_embd": 768,
    "n_head": 12,
    "vocab_size": 50257,
    "n_positions": 1024,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
}
# How classes with a loss end, where not in ForCausalLM.
_HEADS: Final = {"GPT2": "LMHeadModel"}

Inputs = Callable[[], tuple[Any, ...] | dict[str, Any]]


def specs() -> Iterator[Spec]:
    """All of them."""
    yield from _language_models()
    yield from _others_of_transformers()
    yield from _own_models()
    yield from _kernels()
    yield from _values()


def _language_models() -> Iterator[Spec]:
    llama, length = ("llama", "Llama", _LLAMA3_8B), 8192
    for layers in (1, 2, 4):
        yield _layers_alone(f"llama3-8b-{layers}l-body", llama, layers, (1, length))
    yield _layers_alone("llama3-8b-2l-body-fsdp8", llama, 2, (1, length), ranks=8)
    for layers in (8, 16, 32):
        yield _whole(f"llama3-8b-{layers}l", llama, layers, (1, length))
    for layers in (8, 32):
        yield _whole(f"llama3-8b-{layers}l-fsdp8", llama, layers, (1, length), ranks=8)
    qwen = ("qwen", "Qwen3", _QWEN3_600M)
    for layers in (2, 8):
        yield _layers_alone(f"qwen3-600m-{layers}l-body", qwen, layers, (4, 4096))
    yield _whole("qwen3-600m-28l", qwen, 28, (4, 4096))
    gemma = ("gemma", "Gemma2", _GEMMA2_2B)
    yield _layers_alone("gemma2-2b-2l-body", gemma, 2, (1, 4096))
    yield _whole("gemma2-2b-8l", gemma, 8, (1, 4096))
    gpt2 = ("gpt2", "GPT2", _GPT2)
    for layers in (2, 6, 12):
        yield _layers_alone(f"gpt2-{layers}l-body", gpt2, layers, (8, 1024))
    medium = ("gpt2", "GPT2", _GPT2 | {"n_embd": 1024, "n_head": 16})
    yield _whole("gpt2-medium-24l", medium, 24, (4, 1024))
    dropped = ("gpt2", "GPT2", _GPT2 | dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.1))
    yield _whole("gpt2-6l-dropout", dropped, 6, (8, 1024))
    mamba = ("mamba", "Mamba", {"hidden_size": 768, "state_size": 16, "vocab_size": 50280})
    for layers in (2, 4):
        yield _whole(f"mamba-130m-{layers}l", mamba, layers, (8, 64))


# A family, how transformers' classes begin, and their configuration.
_Kind = tuple[str, str, Mapping[str, Any]]


def _whole(name: str, kind: _Kind, layers: int, shape: tuple[int, int], *, ranks: int = 1) -> Spec:
    """A language model of transformers, trained on tokens of a shape (batch, length)."""
    family, prefix, config = kind
    made = f"{prefix}{_HEADS.get(prefix, 'ForCausalLM')}"

    def inputs() -> dict[str, Any]:
        tokens = torch.zeros(shape, dtype=torch.long)
        return {"input_ids": tokens, "labels": tokens}

    return _step(
        name,
        family,
        f"{made}, {layers} layers{_shared(ranks)}",
        f"tokens {shape}, bfloat16",
        make=lambda: _of_transformers(made, _with_layers(config, layers)),
        inputs=inputs,
        ranks=ranks,
        packages=("transformers",),
    )


class _Body(nn.Module):
    """The layers of a language model without embedding and head, as a stage of a pipeline has them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        model.set_input_embeddings(nn.Identity())  # type: ignore[operator]
        self.model = model

    def forward(self, embeddings: Tensor) -> Tensor:
        """The mean square of what the last layer returns, for embeddings of shape (batch, length, width)."""
        mean: Tensor = self.model(inputs_embeds=embeddings).last_hidden_state.square().mean()
        return mean


def _layers_alone(name: str, kind: _Kind, layers: int, shape: tuple[int, int], *, ranks: int = 1) -> Spec:
    """The layers of a language model, which without a vocabulary have small gradients beside their activations."""
    family, prefix, config = kind
    width = config.get("hidden_size", config.get("n_embd"))
    return _step(
        name,
        family,
        f"{prefix}Model, {layers} layers without embedding and head{_shared(ranks)}",
        f"embeddings {(*shape, width)}, bfloat16",
        make=lambda: _Body(_of_transformers(f"{prefix}Model", _with_layers(config, layers))),
        inputs=lambda: (torch.zeros(*shape, width),),
        ranks=ranks,
        packages=("transformers",),
    )


def _with_layers(config: Mapping[str, Any], layers: int) -> dict[str, Any]:
    return {**config, "n_layer" if "n_embd" in config else "num_hidden_layers": layers, "use_cache": False}


def _shared(ranks: int) -> str:
    return f", parameters shared by {ranks} devices (FSDP2)" if ranks > 1 else ""


def _others_of_transformers() -> Iterator[Spec]:
    tokens = lambda *shape: torch.zeros(shape, dtype=torch.long)  # noqa: E731
    pictures = lambda batch: {  # noqa: E731
        "pixel_values": torch.zeros(batch, 3, 224, 224),
        "labels": torch.zeros(batch, dtype=torch.long),
    }
    undropped = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    large = {"hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096}
    for size, layers, sizes in (("base", 12, {}), ("large", 24, large)):
        yield _hf(
            f"bert-{size}-{layers}l",
            "bert",
            "BertForMaskedLM",
            {"num_hidden_layers": layers, **sizes, **undropped},
            inputs=lambda: {"input_ids": tokens(16, 512), "labels": tokens(16, 512)},
            shapes="tokens (16, 512)",
        )
    yield _hf(
        "t5-small",
        "t5",
        "T5ForConditionalGeneration",
        {"dropout_rate": 0.0, "use_cache": False, "decoder_start_token_id": 0, "pad_token_id": 0},
        inputs=lambda: {"input_ids": tokens(8, 512), "labels": tokens(8, 128)},
        shapes="tokens (8, 512) and (8, 128)",
    )
    yield _hf(
        "swin-tiny",
        "swin",
        "SwinForImageClassification",
        {"drop_path_rate": 0.0, "num_labels": 1000},
        inputs=lambda: pictures(32),
        shapes="images (32, 3, 224, 224)",
    )
    yield _hf(
        "convnext-tiny",
        "convnext",
        "ConvNextForImageClassification",
        {"drop_path_rate": 0.0, "num_labels": 1000},
        inputs=lambda: pictures(32),
        shapes="images (32, 3, 224, 224)",
    )
    for name, depths in (("18", [2, 2, 2, 2]), ("50", [3, 4, 6, 3]), ("101", [3, 4, 23, 3])):
        small = name == "18"
        yield _hf(
            f"resnet-{name}",
            "resnet",
            "ResNetForImageClassification",
            {
                "depths": depths,
                "layer_type": "basic" if small else "bottleneck",
                "hidden_sizes": [64, 128, 256, 512] if small else [256, 512, 1024, 2048],
                "num_labels": 1000,
            },
            inputs=lambda: pictures(64),
            shapes="images (64, 3, 224, 224)",
        )
    yield _hf(
        "whisper-tiny",
        "whisper",
        "WhisperForConditionalGeneration",
        {
            "d_model": 384,
            "encoder_layers": 4,
            "decoder_layers": 4,
            "encoder_attention_heads": 6,
            "decoder_attention_heads": 6,
            "encoder_ffn_dim": 1536,
            "decoder_ffn_dim": 1536,
            "use_cache": False,
        },
        inputs=lambda: {"input_features": torch.zeros(8, 80, 3000), "labels": tokens(8, 128)},
        shapes="spectrograms (8, 80, 3000), tokens (8, 128)",
    )


def _hf(name: str, family: str, kind: str, config: Mapping[str, Any], *, inputs: Inputs, shapes: str) -> Spec:
    return _step(
        name,
        family,
        kind,
        f"{shapes}, bfloat16",
        make=lambda: _of_transformers(kind, config),
        inputs=inputs,
        packages=("transformers",),
    )


def _of_transformers(kind: str, config: Mapping[str, Any]) -> nn.Module:
    import transformers

    made = getattr(transformers, kind)
    model: nn.Module = made(made.config_class(**config))
    return model.train()


def _own_models() -> Iterator[Spec]:
    labels = lambda batch: torch.zeros(batch, dtype=torch.long)  # noqa: E731
    for layers in (4, 12):
        yield _step(
            f"vit-base-{layers}l",
            "vit",
            f"a vision transformer, {layers} layers",
            "images (32, 3, 224, 224), bfloat16",
            make=lambda layers=layers: ViT(layers=layers, width=768, heads=12, size=224, patch=16, classes=1000),
            inputs=lambda: (torch.zeros(32, 3, 224, 224), labels(32)),
        )
    mixture = {
        "width": 1024,
        "heads": 16,
        "groups": 4,
        "inner": 3584,
        "context": 2048,
        "vocabulary": 8192,
        "experts": 8,
    }
    for layers in (1, 2, 4):
        yield _step(
            f"mixtral-like-{layers}l",
            "mixtral",
            f"a mixture of eight experts of a fixed capacity, {layers} layers",
            "tokens (4, 2048), bfloat16",
            make=lambda layers=layers: Llama(layers=layers, **mixture),
            inputs=lambda: (torch.zeros(4, 2048, dtype=torch.long), torch.zeros(4, 2048, dtype=torch.long)),
        )
    for name, sizes, batch, side in (
        ("small", (64, (1, 2, 4), 1, (2,), 4), 16, 64),
        ("ddpm", (128, (1, 2, 2, 2), 2, (2,), 4), 16, 128),
        ("adm", (192, (1, 2, 3, 4), 3, (1, 2, 3), 8), 32, 64),
    ):
        yield _step(
            f"unet-{name}",
            "unet",
            "the U-Net of denoising diffusion",
            f"images ({batch}, 3, {side}, {side}), bfloat16",
            make=lambda sizes=sizes: DiffusionUNet(*sizes),
            inputs=lambda batch=batch, side=side: (
                torch.zeros(batch, 3, side, side),
                torch.zeros(batch),
                torch.zeros(batch, 3, side, side),
            ),
        )
    yield _step(
        "densenet-121",
        "densenet",
        "DenseNet-121",
        "images (32, 3, 224, 224), bfloat16",
        make=lambda: DenseNet(32, (6, 12, 24, 16)),
        inputs=lambda: (torch.zeros(32, 3, 224, 224), labels(32)),
    )
    yield _step(
        "dlrm",
        "dlrm",
        "26 embedding tables, products of pairs, two MLPs",
        "features (65536, 13), indices (65536, 26, 4), float32",
        make=lambda: DLRM(26, 2_000, 128, bottom=(512, 256, 128), top=(1024, 1024, 512, 256)),
        inputs=lambda: (torch.zeros(65536, 13), torch.zeros(65536, 26, 4, dtype=torch.long), torch.zeros(65536)),
        dtype=None,
    )
    for layers in (5, 15):
        yield _step(
            f"gnn-{layers}l",
            "gnn",
            f"{layers} rounds of message passing with edge features",
            "20,000 nodes, 120,000 edges, width 128, float32",
            make=lambda layers=layers: MessagePassing(layers, 128),
            inputs=lambda: (
                torch.zeros(20_000, 128),
                torch.zeros(120_000, 128),
                torch.zeros(2, 120_000, dtype=torch.long),
                torch.zeros(20_000, 3),
            ),
            dtype=None,
        )
    for length in (32, 128):
        yield _step(
            f"lstm-{length}t",
            "lstm",
            f"a two-layer LSTM language model over {length} tokens",
            f"tokens (64, {length}), float32",
            make=lambda: Recurrent(2, 1024, 256),
            inputs=lambda length=length: (
                torch.zeros(64, length, dtype=torch.long),
                torch.zeros(64, length, dtype=torch.long),
            ),
            dtype=None,
        )


def _step(
    name: str,
    family: str,
    title: str,
    shapes: str,
    *,
    make: Callable[[], nn.Module],
    inputs: Inputs,
    dtype: str | None = "bfloat16",
    ranks: int = 1,
    packages: tuple[str, ...] = (),
) -> Spec:
    def graph() -> Graph:
        # Steps look at the signature for a batch size.
        steps = Steps.of(make, lambda: inputs(), DEVICES[_DEVICE], dtype_named(dtype), ranks)  # noqa: PLW0108
        return replace(steps.graph(1), name=name)

    return Spec(
        name=name,
        family=family,
        level="aten",
        title=title,
        shapes=shapes,
        costs=_COSTS,
        make=graph,
        packages=("torch", *packages),
    )


def _kernels() -> Iterator[Spec]:
    """Steps as Inductor compiles them for the CPU."""

    def tokens(batch: int, length: int) -> tuple[Any, ...]:
        return torch.zeros(batch, length, dtype=torch.long), torch.zeros(batch, length, dtype=torch.long)

    def pictures(batch: int, side: int, *labels: int) -> tuple[Any, ...]:
        return torch.zeros(batch, 3, side, side), torch.zeros(batch, *labels, dtype=torch.long)

    llama = {"layers": 4, "width": 512, "heads": 8, "groups": 2, "inner": 1536, "context": 256, "vocabulary": 4096}
    rows: tuple[tuple[str, str, str, Callable[[], nn.Module], Callable[[], tuple[Any, ...]], str], ...] = (
        (
            "gpt-6l-inductor",
            "gpt2",
            "a GPT of 6 layers",
            lambda: GPT(layers=6, width=384, heads=6, context=256, vocabulary=4096),
            lambda: tokens(8, 256),
            "tokens (8, 256)",
        ),
        (
            "llama-4l-inductor",
            "llama",
            "4 Llama-style layers",
            lambda: Llama(**llama),
            lambda: tokens(4, 256),
            "tokens (4, 256)",
        ),
        (
            "vit-6l-inductor",
            "vit",
            "a vision transformer of 6 layers",
            lambda: ViT(layers=6, width=384, heads=6, size=128, patch=16),
            lambda: pictures(16, 128),
            "images (16, 3, 128, 128)",
        ),
        (
            "resnet-inductor",
            "resnet",
            "a residual network of three stages",
            lambda: ResNet(channels=32, stages=3, blocks=3, classes=10),
            lambda: pictures(16, 64),
            "images (16, 3, 64, 64)",
        ),
        (
            "unet-inductor",
            "unet",
            "a U-Net of three levels",
            lambda: UNet(channels=16, levels=3),
            lambda: pictures(8, 96, 96, 96),
            "images (8, 3, 96, 96)",
        ),
        (
            "mixtral-4l-inductor",
            "mixtral",
            "4 Llama-style layers of four experts",
            lambda: Llama(**(llama | {"experts": 4, "vocabulary": 1024})),
            lambda: tokens(4, 256),
            "tokens (4, 256)",
        ),
    )
    for name, family, title, make, inputs, shapes in rows:

        def graph(
            name: str = name,
            make: Callable[[], nn.Module] = make,
            inputs: Callable[[], tuple[Any, ...]] = inputs,
        ) -> Graph:
            torch.manual_seed(0)
            return replace(capture_graph(make(), inputs(), compiler="inductor"), name=name)

        yield Spec(
            name=name,
            family=family,
            level="inductor",
            title=f"{title}, as Inductor compiles it for a CPU",
            shapes=f"{shapes}, float32",
            costs=_CPU,
            make=graph,
            packages=("torch",),
        )


def _values() -> Iterator[Spec]:
    """Models that are used and not trained: no backward, and parameters are inputs that stay."""
    pictures = lambda batch: torch.zeros(batch, 3, 224, 224)  # noqa: E731
    noise = torch.zeros(16, 3, 128, 128)
    rows: tuple[tuple[str, str, Callable[[], nn.Module], Callable[[], tuple[Any, ...]], str], ...] = (
        (
            "unet-ddpm-forward",
            "unet",
            lambda: DiffusionUNet(128, (1, 2, 2, 2), 2, (2,), 4),
            lambda: (noise, torch.zeros(16), noise),
            "images (16, 3, 128, 128)",
        ),
        (
            "densenet-121-forward",
            "densenet",
            lambda: DenseNet(32, (6, 12, 24, 16)),
            lambda: (pictures(32), torch.zeros(32, dtype=torch.long)),
            "images (32, 3, 224, 224)",
        ),
    )
    for name, family, make, inputs, shapes in rows:
        yield Spec(
            name=name,
            family=family,
            level="aten",
            training=False,
            title=f"{name.removesuffix('-forward')} without gradients",
            shapes=f"{shapes}, bfloat16",
            costs=_COSTS,
            make=partial(_forward, name, make, inputs),
            packages=("torch",),
        )


def _forward(name: str, make: Callable[[], nn.Module], inputs: Callable[[], tuple[Any, ...]]) -> Graph:
    module, (args, _) = faked(made(make, "the model").eval(), (inputs(), {}), torch.bfloat16)
    state = dict(module.named_parameters()) | dict(module.named_buffers())

    def call(state: dict[str, Tensor], *args: Tensor) -> Any:  # noqa: ANN401 - whatever the module returns
        return torch.func.functional_call(module, state, args)

    with torch.no_grad(), args[0].fake_mode:
        return from_pytorch_fx(make_fx(call)(state, *args), name=name, cost=partial(cost_on, DEVICES[_DEVICE]))
