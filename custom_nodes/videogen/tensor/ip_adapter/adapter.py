"""One IP-Adapter: its projection, and the keys and values of its image tokens in each cross-attention."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ...core.errors import VideoGenError
from .checkpoint import AdapterInfo, recognize
from .projection import build_projection


class IPAdapter:
    """Weights stay as the file has them, on the CPU; what is computed from them is computed in `dtype`.

    Attributes:
        name: for messages, the file's name.
        info: what the adapter is.
        digest: SHA-256 over names, types and values of all tensors, in hexadecimal digits.
        dtype: of projections, keys and values, in the computation and the result: float32, or float64 for a float64 file.
    """

    def __init__(
        self,
        name: str,
        info: AdapterInfo,
        projection: nn.Module,
        state: Mapping[str, Tensor],
        digest: str,
        dtype: torch.dtype,
    ) -> None:
        self.name, self.info, self.digest, self.dtype = name, info, digest, dtype
        self._projection, self._state = projection, state

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], name: str) -> IPAdapter:
        """From tensors under their published names, such as ``image_proj.proj.weight``.

        Raises:
            VideoGenError: `adapter-invalid`.
        """
        info = recognize(state, name)
        for key, tensor in state.items():
            if not _is_finite(tensor):
                raise VideoGenError(
                    "adapter-invalid",
                    f"{name} has values that are not numbers (NaN or infinite) in {key}",
                    "It is damaged or was converted wrongly; download it again.",
                )
        module = build_projection(_projection_weights(state), info.projection, info.tokens, info.context_width)
        try:
            module.load_state_dict(_projection_weights(state), assign=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise VideoGenError(
                "adapter-invalid", f"{name} does not fit its own kind ({info.projection}): {reason}"
            ) from error
        double = any(tensor.dtype == torch.float64 for tensor in state.values())
        return cls(name, info, module, state, _digest(state), torch.float64 if double else torch.float32)

    def to(self, dtype: torch.dtype) -> IPAdapter:
        """The same adapter with another precision to compute in; the weights are shared."""
        return IPAdapter(self.name, self.info, self._projection, self._state, self.digest, dtype)

    @torch.no_grad()
    def project(self, embeds: Tensor) -> Tensor:
        """Project the encoder's output to image tokens (n, T, context width), on its device and in `dtype`.

        Args:
            embeds: the encoder's `info.embed_source`: image embeds (n, embed width), or hidden states (n, patches, embed width).

        Raises:
            VideoGenError: `adapter-mismatch`, for embeds of another shape, which come from another encoder.
        """
        dimensions = 2 if self.info.embed_source == "image_embeds" else 3
        if embeds.ndim != dimensions or embeds.shape[-1] != self.info.embed_width:
            raise VideoGenError(
                "adapter-mismatch",
                f"{self.name} needs {self.info.embed_source} {self.info.embed_width} wide, as {self.info.encoder} outputs them,"
                f" and got a tensor of shape {tuple(embeds.shape)}",
                f"Load {self.info.encoder} with CLIP Vision Loader.",
            )
        weights = {
            key: tensor.to(device=embeds.device, dtype=self.dtype)
            for key, tensor in self._projection.state_dict().items()
        }
        return torch.func.functional_call(self._projection, weights, (embeds.to(self.dtype),))

    def key_value(self, layer: int, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value (n, T, layer width) of image tokens (n, T, context width) in a cross-attention, on the tokens' device.

        Args:
            layer: 0-based, in the file's numbering.
        """
        number = self.info.layer_numbers[layer]
        tokens = tokens.to(self.dtype)
        key, value = (
            tokens @ self._state[f"ip_adapter.{number}.to_{kind}_ip.weight"].to(tokens.device, self.dtype).T
            for kind in "kv"
        )
        return key, value


def _projection_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = "image_proj."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def _is_finite(tensor: Tensor) -> bool:
    """Tell by minimum and maximum: NaN propagates through both, and this reads the tensor once without a second one in memory."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    low, high = torch.aminmax(tensor if tensor.element_size() > 1 else tensor.float())
    return bool(torch.isfinite(low) & torch.isfinite(high))


def _digest(state: Mapping[str, Tensor]) -> str:
    sha = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        sha.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()
