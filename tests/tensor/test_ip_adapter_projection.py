"""Image tokens, keys and values of an adapter, against the published modules written out in functions."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from custom_nodes.videogen.comfyui.attention.adapter_files import load_adapter
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from runner.bench.models.random_weights.adapters import lay_out_full_face, lay_out_plain, lay_out_plus
from runner.bench.models.random_weights.layout import draw_weights

EXACT = 1e-12
WIDTHS, CONTEXT, EMBED = (8, 16, 8), 12, 10
State = dict[str, Tensor]

LAYOUTS = {
    "plain": lambda: lay_out_plain(WIDTHS, CONTEXT, embed_width=EMBED, tokens=3),
    "plus": lambda: lay_out_plus(WIDTHS, CONTEXT, embed_width=EMBED, tokens=5, width=6, heads=2),
    "full-face": lambda: lay_out_full_face(WIDTHS, CONTEXT, embed_width=EMBED),
}
KINDS = pytest.mark.parametrize("kind", LAYOUTS)


def draw(kind: str, dtype: torch.dtype = torch.float64) -> State:
    return draw_weights(LAYOUTS[kind](), dtype=dtype)


def embeds_for(kind: str, images: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(images, *(() if kind == "plain" else (7,)), EMBED, generator=generator, dtype=torch.float64)


# ------------------------------------------------------------------ the published modules


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].T + state.get(f"{name}.bias", 0)


def norm(state: State, name: str, x: Tensor) -> Tensor:
    centered = x - x.mean(-1, keepdim=True)
    return (
        centered / (centered.square().mean(-1, keepdim=True) + 1e-5).sqrt() * state[f"{name}.weight"]
        + state[f"{name}.bias"]
    )


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def plain(state: State, image: Tensor) -> Tensor:
    """ImageProjModel, for one image."""
    return norm(state, "image_proj.norm", linear(state, "image_proj.proj", image).reshape(-1, CONTEXT))


def full_face(state: State, image: Tensor) -> Tensor:
    """MLPProjModel, for one image."""
    hidden = gelu(linear(state, "image_proj.proj.0", image))
    return norm(state, "image_proj.proj.3", linear(state, "image_proj.proj.2", hidden))


def plus(state: State, image: Tensor) -> Tensor:
    """Resampler, for one image; a head is 64 wide."""
    features, latents = linear(state, "image_proj.proj_in", image), state["image_proj.latents"][0]
    for number in range(4):
        attention, forward = f"image_proj.layers.{number}.0", f"image_proj.layers.{number}.1"
        normed, seeing = norm(state, f"{attention}.norm1", features), norm(state, f"{attention}.norm2", latents)
        queries = linear(state, f"{attention}.to_q", seeing)
        both = linear(state, f"{attention}.to_kv", torch.cat([normed, seeing]))
        keys, values = both[:, : queries.shape[1]], both[:, queries.shape[1] :]
        heads = []
        for head in range(queries.shape[1] // 64):
            part = slice(64 * head, 64 * head + 64)
            heads.append(torch.softmax(queries[:, part] @ keys[:, part].T / 8, dim=-1) @ values[:, part])
        latents = latents + linear(state, f"{attention}.to_out", torch.cat(heads, dim=1))
        hidden = gelu(linear(state, f"{forward}.1", norm(state, f"{forward}.0", latents)))
        latents = latents + linear(state, f"{forward}.3", hidden)
    return norm(state, "image_proj.norm_out", linear(state, "image_proj.proj_out", latents))


REFERENCE = {"plain": plain, "plus": plus, "full-face": full_face}


@KINDS
def test_tokens_are_the_published_projections(kind: str) -> None:
    state, embeds = draw(kind), embeds_for(kind)
    adapter = IPAdapter.from_state(state, "tiny")
    expected = torch.stack([REFERENCE[kind](state, image) for image in embeds])
    torch.testing.assert_close(adapter.project(embeds), expected, rtol=EXACT, atol=EXACT)
    if kind != "full-face":
        assert expected.shape[1] == adapter.info.tokens


@KINDS
def test_keys_and_values_are_the_layers_products(kind: str) -> None:
    state = draw(kind)
    adapter = IPAdapter.from_state(state, "tiny")
    tokens = torch.randn(2, 3, CONTEXT, dtype=torch.float64)
    for layer, width in enumerate(WIDTHS):
        key, value = adapter.key_value(layer, tokens)
        assert key.shape == value.shape == (2, 3, width)
        for found, part in ((key, "k"), (value, "v")):
            weight = state[f"ip_adapter.{2 * layer + 1}.to_{part}_ip.weight"]
            torch.testing.assert_close(found, tokens @ weight.T, rtol=EXACT, atol=EXACT)


# ------------------------------------------------------------------ precision, files, mistakes


@KINDS
def test_half_precision_files_are_computed_in_single(kind: str) -> None:
    state = draw(kind, torch.float16)
    adapter = IPAdapter.from_state(state, "tiny")
    tokens = adapter.project(embeds_for(kind).half())
    assert tokens.dtype == adapter.dtype == torch.float32
    exact = IPAdapter.from_state(state, "tiny").to(torch.float64)
    expected = exact.project(embeds_for(kind).half())
    assert expected.dtype == torch.float64
    torch.testing.assert_close(tokens.double(), expected, rtol=1e-4, atol=1e-4)
    assert exact.key_value(0, expected)[0].dtype == torch.float64


def test_weights_stay_as_small_as_the_file_has_them() -> None:
    state = draw("plus", torch.float16)
    adapter = IPAdapter.from_state(state, "tiny")
    pointers = {tensor.data_ptr() for tensor in state.values()}
    assert {tensor.data_ptr() for tensor in adapter._projection.state_dict().values()} <= pointers
    assert {tensor.data_ptr() for tensor in adapter.to(torch.float64)._projection.state_dict().values()} <= pointers


def test_the_digest_is_that_of_the_content(tmp_path) -> None:
    state = draw("plain", torch.float32)
    save_file(state, tmp_path / "one.safetensors")
    torch.save(state, tmp_path / "two.bin")
    digests = {load_adapter(path).digest for path in tmp_path.iterdir()}
    assert digests == {IPAdapter.from_state(dict(reversed(state.items())), "x").digest}
    state["ip_adapter.1.to_k_ip.weight"][0, 0] += 1e-3
    assert IPAdapter.from_state(state, "x").digest not in digests


def test_the_file_names_itself(tmp_path) -> None:
    save_file(draw("plain"), tmp_path / "one.safetensors")
    assert load_adapter(tmp_path / "one.safetensors").name == "one.safetensors"


@KINDS
def test_what_another_encoder_gives_is_refused(kind: str) -> None:
    adapter = IPAdapter.from_state(draw(kind), "mine.bin")
    wrong = [torch.zeros(2, 7, EMBED + 1), torch.zeros(2, EMBED + 1), torch.zeros(EMBED)]
    wrong.append(torch.zeros(2, 7, EMBED) if kind == "plain" else torch.zeros(2, EMBED))
    for embeds in wrong:
        with pytest.raises(VideoGenError, match=r"mine\.bin needs .* 10 wide.*got a tensor of shape") as caught:
            adapter.project(embeds)
        assert caught.value.code == "adapter-mismatch"


def test_no_gradients_are_kept() -> None:
    adapter = IPAdapter.from_state(draw("plain"), "tiny")
    tokens = adapter.project(embeds_for("plain").requires_grad_())
    assert not tokens.requires_grad
    assert not adapter.key_value(0, tokens)[0].requires_grad


def test_normalization_uses_torchs_epsilon() -> None:
    """The functions above are the same as torch's LayerNorm."""
    state, x = draw("plain"), torch.randn(4, CONTEXT, dtype=torch.float64)
    weight, bias = state["image_proj.norm.weight"], state["image_proj.norm.bias"]
    torch.testing.assert_close(norm(state, "image_proj.norm", x), functional.layer_norm(x, (CONTEXT,), weight, bias))
