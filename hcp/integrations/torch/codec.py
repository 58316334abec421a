"""Tensors as plain memory, for the runtime's host and disk tiers: any dtype and device, strides kept."""

import torch

from hcp.integrations.torch.errors import ExecutionError
from hcp.runtime.codec import Content, Encoded


class TensorCodec:
    """For tensors; what comes back is bit-identical, on the same device and detached from any gradient."""

    def encode(self, value: Content, /) -> Encoded:
        """The tensor's bytes in host memory; shares memory with a dense CPU tensor.

        Raises:
            ExecutionError: If it is no plain strided tensor.
        """
        if not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
            raise ExecutionError(f"a {type(value).__name__!r} object cannot be stored; store plain dense tensors")
        tensor = value.detach().resolve_conj().resolve_neg()
        # A dense tensor keeps its strides (they decide which kernels its readers use); others become contiguous.
        if not torch.ops.aten.is_non_overlapping_and_dense(tensor):
            tensor = tensor.contiguous()
        if tensor.is_cuda:
            # A background transfer does not know the stream that computes the tensor.
            torch.cuda.synchronize(tensor.device)
        flat = tensor.as_strided((tensor.numel(),), (1,)).cpu()
        about = {
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "shape": list(tensor.shape),
            "stride": list(tensor.stride()),
            "device": str(tensor.device),
        }
        # NumPy has no bfloat16: raw bytes.
        return Encoded(flat.view(torch.uint8).numpy(), about)

    def decode(self, encoded: Encoded, /) -> torch.Tensor:
        """A fresh tensor."""
        about = encoded.about
        tensor = torch.empty_strided(about["shape"], about["stride"], dtype=getattr(torch, about["dtype"]))
        tensor.as_strided((tensor.numel(),), (1,)).view(torch.uint8).copy_(torch.from_numpy(encoded.array))
        return tensor.to(about["device"])
