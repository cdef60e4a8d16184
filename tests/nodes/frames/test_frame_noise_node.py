"""Frame Noise through ComfyUI's real samplers: SamplerCustomAdvanced, and KSampler (Advanced) without noise of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.sample
import comfy.samplers
import comfy.supported_models
import torch
from comfy_extras.nodes_custom_sampler import BasicGuider, BasicScheduler, CFGGuider, SamplerCustomAdvanced
from nodes import KSamplerAdvanced, LatentFromBatch
from torch import Tensor

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.nodes.frames.frame_noise import FrameNoise, VideoGenFrameNoise
from custom_nodes.videogen.tensor.frame_noise import make_frame_noise
from runner.bench.models.hidden_inputs import in_graph
from runner.bench.models.predictions import relative_difference
from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL
from runner.bench.models.tiny_models import build_comfy_model, draw_unet
from tests.support.models.other_models import small_flux

FRAMES, HEIGHT, WIDTH = 4, 8, 16


@pytest.fixture(scope="module")
def model() -> Any:
    return build_comfy_model(TINY_SD15, draw_unet(TINY_SD15), dtype=torch.float32)


@pytest.fixture(scope="module")
def plan() -> SegmentPlan:
    story = {
        "title": "Test",
        "size": [1366, 770],
        "frames": FRAMES,
        "locations": {"field": {"seed": 5000, "segments": "1"}},
        "segments": [{"prompt": "He digs.", "seed": 7}, {"prompt": "He rests.", "seed": 8}],
    }
    return plan_segment(parse_story(story), 1)


def execute(*, wanted: Sequence[int] = (0,), **inputs: Any) -> tuple[Any, Any]:
    """The node in a graph in which these outputs are connected."""
    node = in_graph(VideoGenFrameNoise, wanted)
    return node.execute(**{"drift": 0.35, "anchor": "segment", "seed": 3, "frames": FRAMES, **inputs}).result


def empty(frames: int = FRAMES) -> dict[str, Any]:
    return {"samples": torch.zeros(frames, 4, HEIGHT, WIDTH)}


def prompts() -> list[Any]:
    generator = torch.Generator().manual_seed(4)
    return [[[torch.randn(1, 7, TINY_SD15.context_width, generator=generator), {}]] for _ in range(2)]


def sample_advanced(
    model: Any, noise: Any, latent: dict[str, Any], sampler: str, scheduler: str, denoise: float = 1.0, steps: int = 3
) -> Tensor:
    guider = CFGGuider.execute(model, *prompts(), 3.0)[0]
    sigmas = BasicScheduler.execute(model, scheduler, steps, denoise)[0]
    return SamplerCustomAdvanced.execute(noise, guider, comfy.samplers.sampler_object(sampler), sigmas, latent)[0][
        "samples"
    ]


# ------------------------------------------------------------------ the noise


def test_noise_is_what_the_formula_makes(plan: SegmentPlan) -> None:
    noise, _ = execute(segment=plan)
    assert noise.seed == 7
    made = noise.generate_noise(empty())
    assert torch.equal(made, make_frame_noise((4, HEIGHT, WIDTH), range(FRAMES), seed=7, drift=0.35))
    by_place, _ = execute(segment=plan, anchor="location")
    assert (by_place.seed, by_place.anchor) == (7, 5000)
    assert not torch.equal(by_place.generate_noise(empty()), made)


def test_no_drift_is_comfyui_s_own_noise_of_one_image() -> None:
    own = comfy.sample.prepare_noise(torch.zeros(1, 4, HEIGHT, WIDTH), 2**64 - 1)
    noise, _ = execute(drift=0.0, seed=2**64 - 1)
    assert torch.equal(noise.generate_noise(empty()), own.expand(FRAMES, -1, -1, -1))


def test_a_frame_keeps_its_noise_when_the_batch_is_cut() -> None:
    noise, _ = execute()
    whole = noise.generate_noise(empty(6))
    part = LatentFromBatch().frombatch(empty(6), 2, 3)[0]
    assert torch.equal(noise.generate_noise(part), whole[2:5])


@pytest.mark.parametrize(("shape", "dtype"), [((2, 16, 6, 4), torch.float32), ((3, 4, 5, 7), torch.float16)])
def test_channels_sizes_and_types_are_the_latent_s(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    made = execute()[0].generate_noise({"samples": torch.zeros(shape, dtype=dtype)})
    assert (made.shape, made.dtype) == (shape, dtype)


def test_video_latents_are_refused_in_a_sentence() -> None:
    noise, _ = execute()
    for action in (lambda latent: noise.generate_noise(latent), lambda latent: execute(latent=latent, wanted=[1])):
        with pytest.raises(VideoGenError, match=r"is the latent of a video model, shape \(1, 16, 5, 8, 8\)"):
            action({"samples": torch.zeros(1, 16, 5, 8, 8)})


@pytest.mark.parametrize("index", [[0, 1], [0, 1, 2, -1], [0, 1, 2, 10_000]])
def test_frames_that_cannot_be(index: list[int]) -> None:
    with pytest.raises(VideoGenError, match=f"`batch_index` names {len(index)} frames"):
        execute()[0].generate_noise({**empty(), "batch_index": index})


# ------------------------------------------------------------------ the latent


def test_the_segment_gives_an_empty_batch_of_a_size_that_models_take(plan: SegmentPlan) -> None:
    _, latent = execute(segment=plan, frames=99)
    assert latent["samples"].shape == (FRAMES, 4, 768 // 8, 1368 // 8)
    assert not latent["samples"].any()


def test_one_image_becomes_all_frames() -> None:
    start = {"samples": torch.rand(1, 4, HEIGHT, WIDTH), "noise_mask": torch.ones(1, HEIGHT, WIDTH), "batch_index": [3]}
    _, latent = execute(latent=start)
    assert torch.equal(latent["samples"], start["samples"].expand(FRAMES, -1, -1, -1))
    assert latent["noise_mask"] is start["noise_mask"]
    assert "batch_index" not in latent
    assert "batch_index" in start


def test_frames_stay_as_they_are() -> None:
    start = empty(7)
    assert execute(latent=start)[1] is start


@pytest.mark.parametrize("count", [2, 3, 7])
def test_another_number_of_frames_than_the_segment_s_is_refused(plan: SegmentPlan, count: int) -> None:
    with pytest.raises(
        VideoGenError, match=f"`latent` has {count} frames and segment 1 has {FRAMES}: .*`batch_size`"
    ) as e:
        execute(segment=plan, latent=empty(count), wanted=[1])
    assert e.value.code == "latent-invalid"
    assert "\n" not in str(e.value)
    assert execute(segment=plan, latent=empty(count), wanted=[0])[1] is None  # nobody wants it


def test_a_segment_takes_one_image_all_frames_or_a_named_part(plan: SegmentPlan) -> None:
    assert len(execute(segment=plan, latent=empty(1), wanted=[1])[1]["samples"]) == FRAMES
    whole = empty(FRAMES)
    assert execute(segment=plan, latent=whole, wanted=[1])[1] is whole
    part = LatentFromBatch().frombatch(whole, 1, 2)[0]
    assert execute(segment=plan, latent=part, wanted=[1])[1] is part


def test_without_anything_to_go_by_only_who_wants_the_latent_is_stopped() -> None:
    noise, latent = execute()
    assert isinstance(noise, FrameNoise)
    assert latent is None
    with pytest.raises(VideoGenError, match="neither `segment` nor `latent` is connected to it"):
        execute(wanted=[0, 1])


# ------------------------------------------------------------------ samplers


@pytest.mark.parametrize(
    ("sampler", "scheduler"),
    [("euler", "normal"), ("dpmpp_2m", "karras"), ("euler_ancestral", "sgm_uniform"), ("lcm", "simple")],
)
def test_ksampler_advanced_gives_the_same(model: Any, sampler: str, scheduler: str) -> None:
    noise, plain = execute(latent=empty())
    _, noisy = execute(latent=empty(), model=model)
    expected = sample_advanced(model, noise, plain, sampler, scheduler)
    (found,) = KSamplerAdvanced().sample(
        model, "disable", noise.seed, 3, 3.0, sampler, scheduler, *prompts(), noisy, 0, 10_000, "disable"
    )
    assert relative_difference(found["samples"], expected) < 1e-5
    other = sample_advanced(model, execute(drift=0.4)[0], plain, sampler, scheduler)
    assert relative_difference(other, expected) > 1e-3


def test_ksampler_advanced_gives_the_same_from_images_on(model: Any) -> None:
    start = {"samples": torch.randn(1, 4, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(8)) * 3}
    sigmas = BasicScheduler.execute(model, "normal", 4, 1.0)[0]
    noise, plain = execute(latent=start)
    _, noisy = execute(latent=start, model=model, sigmas=sigmas[2:])
    guider = CFGGuider.execute(model, *prompts(), 3.0)[0]
    sampler = comfy.samplers.sampler_object("euler")
    expected = SamplerCustomAdvanced.execute(noise, guider, sampler, sigmas[2:], plain)[0]["samples"]
    (found,) = KSamplerAdvanced().sample(
        model, "disable", noise.seed, 4, 3.0, "euler", "normal", *prompts(), noisy, 2, 10_000, "disable"
    )
    assert relative_difference(found["samples"], expected) < 1e-5


def test_ksampler_takes_it_for_sdxl_too() -> None:
    sdxl = build_comfy_model(TINY_SDXL, draw_unet(TINY_SDXL), dtype=torch.float32)
    noise, noisy = execute(latent=empty(), model=sdxl)
    at_start = sdxl.get_model_object("process_latent_in")(noisy["samples"])
    sigma = float(sdxl.get_model_object("model_sampling").sigma_max)
    assert relative_difference(at_start, noise.generate_noise(empty()) * (1 + sigma**2) ** 0.5) < 1e-6


def test_frames_in_parts_are_the_frames_of_the_whole(model: Any) -> None:
    noise, plain = execute(latent=empty())
    whole = sample_advanced(model, noise, plain, "euler", "normal")
    for first in (0, 2):
        part = LatentFromBatch().frombatch(plain, first, 2)[0]
        assert (
            relative_difference(sample_advanced(model, noise, part, "euler", "normal"), whole[first : first + 2]) < 1e-5
        )


def test_nearer_noise_gives_nearer_latents(model: Any) -> None:
    apart = []
    for drift in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        latents = sample_advanced(model, execute(drift=drift)[0], empty(), "euler", "normal")
        apart.append(relative_difference(latents[1:], latents[:-1]))
    assert apart == sorted(apart)
    assert apart[0] < 1e-5 < apart[1]


def test_a_guider_without_guidance(model: Any) -> None:
    noise, plain = execute(latent=empty())
    guider = BasicGuider.execute(model, prompts()[0])[0]
    sigmas = BasicScheduler.execute(model, "normal", 1, 1.0)[0]
    result = SamplerCustomAdvanced.execute(noise, guider, comfy.samplers.sampler_object("euler"), sigmas, plain)[0]
    assert torch.isfinite(result["samples"]).all()


def test_models_that_mix_noise_and_image_are_refused_in_a_sentence() -> None:
    description = comfy.supported_models.Flux(small_flux())
    description.set_inference_dtype(torch.float32, None)
    device = torch.device("meta")
    flux = comfy.model_patcher.ModelPatcher(
        description.get_model({}, device=device), load_device=device, offload_device=device
    )
    with pytest.raises(VideoGenError, match="this model is Flux, which mixes noise and picture"):
        execute(latent=empty(), model=flux, wanted=[0, 1])
