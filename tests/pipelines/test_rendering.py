"""Each pipeline at tiny size: equal to calling diffusers directly, the exact number of frames, and nothing left behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.pipelines.cogvideox import read_limits, render_cogvideox
from custom_nodes.videogen.pipelines.framepack import FORWARD, INVERTED, render_framepack
from custom_nodes.videogen.pipelines.loading import OFFLOADS
from custom_nodes.videogen.pipelines.skyreels import SkyReelsPictures, render_skyreels
from tests.pipelines.clips import (
    CPU,
    SEED,
    are_alike,
    call_directly,
    cog_request,
    no_hooks,
    pack_request,
    picture,
    sky_request,
)
from tests.pipelines.conftest import MakeBox
from tests.support.models.tiny_pipelines import COG_SIZE, PACK_SIZE, PACK_WINDOW, SKY_SIZE


def test_cogvideox_is_diffusers(make_box: MakeBox) -> None:
    box = make_box("cogvideox")
    found = render_cogvideox(box, picture(COG_SIZE), cog_request(), CPU, no_hooks)
    direct = call_directly(
        "CogVideoXImageToVideoPipeline",
        box.request.folder,
        image=picture(COG_SIZE),
        width=COG_SIZE,
        height=COG_SIZE,
        num_frames=9,
        num_inference_steps=2,
        guidance_scale=6.0,
        max_sequence_length=16,
    )
    assert found.shape == (9, COG_SIZE, COG_SIZE, 3)
    assert found.dtype == torch.float32
    assert are_alike(found, direct)


FORCING: dict[str, Any] = {"addnoise_condition": 20, "ar_step": 0, "causal_block_size": 1, "fps": 24}
SKY_CALLS: dict[str, tuple[str, str, SkyReelsPictures, dict[str, Any], dict[str, Any], slice]] = {
    "text": ("skyreels_text", "SkyReelsV2Pipeline", SkyReelsPictures(), {}, {"num_frames": 9}, slice(None)),
    "image": (
        "skyreels_image",
        "SkyReelsV2ImageToVideoPipeline",
        SkyReelsPictures(picture(SKY_SIZE)),
        {},
        {"num_frames": 9, "image": picture(SKY_SIZE)},
        slice(None),
    ),
    "forcing, one pass": (
        "skyreels_forcing",
        "SkyReelsV2DiffusionForcingPipeline",
        SkyReelsPictures(),
        {},
        {"num_frames": 9, "base_num_frames": 9, **FORCING},
        slice(None),
    ),
    "forcing, four passes": (
        "skyreels_forcing",
        "SkyReelsV2DiffusionForcingPipeline",
        SkyReelsPictures(),
        {"frames": 18},
        {"num_frames": 21, "base_num_frames": 9, "overlap_history": 5, **FORCING},
        slice(18),
    ),
    "forcing, asynchronous": (
        "skyreels_forcing",
        "SkyReelsV2DiffusionForcingPipeline",
        SkyReelsPictures(),
        {"frames": 12, "base_frames": 17, "async_steps": 1, "block": 2},
        {"num_frames": 13, "base_num_frames": 13, **FORCING, "ar_step": 1, "causal_block_size": 2},
        slice(12),
    ),
    "forcing, first and last": (
        "skyreels_forcing",
        "SkyReelsV2DiffusionForcingImageToVideoPipeline",
        SkyReelsPictures(picture(SKY_SIZE), picture(SKY_SIZE, 1)),
        {},
        {
            "num_frames": 9,
            "base_num_frames": 9,
            "image": picture(SKY_SIZE),
            "last_image": picture(SKY_SIZE, 1),
            **FORCING,
        },
        slice(None),
    ),
    # The input's 7 frames, then the overlap once more, then what is new.
    "forcing, extended": (
        "skyreels_forcing",
        "SkyReelsV2DiffusionForcingVideoToVideoPipeline",
        SkyReelsPictures(before=tuple(picture(SKY_SIZE, index) for index in range(7))),
        {"frames": 10},
        {
            "num_frames": 17,
            "base_num_frames": 9,
            "overlap_history": 5,
            "video": [picture(SKY_SIZE, index) for index in range(7)],
            **FORCING,
        },
        slice(12, 22),
    ),
}


@pytest.mark.parametrize("case", SKY_CALLS)
def test_skyreels_is_diffusers(make_box: MakeBox, case: str) -> None:
    name, kind, pictures, changes, inputs, kept = SKY_CALLS[case]
    box = make_box(name)
    request = sky_request(**changes)
    found = render_skyreels(box, pictures, request, CPU, no_hooks)
    size = {"width": SKY_SIZE, "height": SKY_SIZE, "num_inference_steps": 2, "guidance_scale": 6.0}
    direct = call_directly(kind, box.request.folder, **size, **inputs)[kept]
    assert found.shape == (request.frames, SKY_SIZE, SKY_SIZE, 3) == direct.shape
    assert are_alike(found, direct)


@pytest.mark.parametrize(
    ("frames", "num_frames", "last"), [(5, 9, False), (13, 9, False), (14, 18, False), (25, 18, True)]
)
@pytest.mark.parametrize(("sampler", "kind"), [(INVERTED, "inverted_anti_drifting"), (FORWARD, "vanilla")])
def test_framepack_is_diffusers(
    make_box: MakeBox, sampler: str, kind: str, frames: int, num_frames: int, last: bool
) -> None:
    box = make_box("framepack")
    end = picture(PACK_SIZE, 1) if last and sampler == INVERTED else None
    found = render_framepack(box, picture(PACK_SIZE), end, pack_request(sampler=sampler, frames=frames), CPU, no_hooks)
    direct = call_directly(
        "HunyuanVideoFramepackPipeline",
        box.request.folder,
        image=picture(PACK_SIZE),
        last_image=end,
        width=PACK_SIZE,
        height=PACK_SIZE,
        num_frames=num_frames,
        latent_window_size=PACK_WINDOW,
        num_inference_steps=2,
        guidance_scale=9.0,
        sampling_type=kind,
    )
    assert len(direct) == num_frames // 9 * PACK_WINDOW * 4 + 1, "sections, 4 frames for each latent, and one more"
    assert found.shape == (frames, PACK_SIZE, PACK_SIZE, 3)
    assert are_alike(found, direct[:frames])


@pytest.mark.parametrize(
    ("offload", "afterwards"), [*((way, "keep in memory") for way in OFFLOADS), ("none", "free"), ("group", "free")]
)
def test_offloading_and_what_is_kept_change_nothing(make_box: MakeBox, offload: str, afterwards: str) -> None:
    plain = render_cogvideox(make_box("cogvideox"), picture(COG_SIZE), cog_request(), CPU, no_hooks)
    box = make_box("cogvideox", offload=offload, afterwards=afterwards)
    for _ in range(2):
        found = render_cogvideox(box, picture(COG_SIZE), cog_request(), CPU, no_hooks)
        assert are_alike(found, plain)
        assert box.is_loaded == (afterwards == "keep in memory")


def test_the_optimized_settings_reach_the_pipeline_and_leave_it_as_it_was(make_box: MakeBox) -> None:
    box = make_box("cogvideox")
    plain = render_cogvideox(box, picture(COG_SIZE), cog_request(), CPU, no_hooks)
    other = cog_request(scheduler="DPM++", dynamic_guidance=True)
    steps: list[int] = []
    fast = render_cogvideox(box, picture(COG_SIZE), other, CPU, lambda done, total, latents: steps.append(total))
    assert steps == [2, 2]
    assert (fast - plain).abs().max() > 0.01
    again = render_cogvideox(box, picture(COG_SIZE), cog_request(), CPU, no_hooks)
    assert are_alike(again, plain)


# ------------------------------------------------------------------ the global generator


@pytest.mark.parametrize("state", [1, 2])
def test_noise_on_the_history_is_the_seeds_and_others_find_their_generator_as_it_was(
    make_box: MakeBox, state: int
) -> None:
    """`addnoise_condition` draws from torch's global generator."""
    torch.manual_seed(state)
    before = torch.get_rng_state()
    box = make_box("skyreels_forcing")
    found = render_skyreels(box, SkyReelsPictures(), sky_request(frames=13), CPU, no_hooks)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(3)
    assert are_alike(render_skyreels(box, SkyReelsPictures(), sky_request(frames=13), CPU, no_hooks), found)
    other = render_skyreels(box, SkyReelsPictures(), sky_request(frames=13, noise=0), CPU, no_hooks)
    assert not torch.equal(other, found)


def test_a_block_size_is_forgotten_after_its_clip(make_box: MakeBox) -> None:
    """The pipeline writes it into the transformer's configuration."""
    box = make_box("skyreels_forcing")
    plain = render_skyreels(box, SkyReelsPictures(), sky_request(), CPU, no_hooks)
    render_skyreels(box, SkyReelsPictures(), sky_request(frames=13, base_frames=17, block=2), CPU, no_hooks)
    assert box.load().transformer.config.num_frame_per_block == 1
    assert are_alike(render_skyreels(box, SkyReelsPictures(), sky_request(), CPU, no_hooks), plain)


# ------------------------------------------------------------------ steps


class Stop(BaseException):
    pass


@pytest.mark.parametrize("offload", ["none", "model", "group"])
def test_what_ends_a_step_ends_the_clip_and_the_next_one_is_whole(make_box: MakeBox, offload: str) -> None:
    box = make_box("skyreels_forcing", offload=offload)
    done: list[tuple[int, int]] = []

    def stop(count: int, total: int, latents: Any) -> None:
        done.append((count, total))
        if count == 3:
            raise Stop

    with pytest.raises(Stop):
        render_skyreels(box, SkyReelsPictures(), sky_request(frames=21), CPU, stop)
    assert done == [(1, 8), (2, 8), (3, 8)], "four passes of two steps"
    whole = render_skyreels(make_box("skyreels_forcing"), SkyReelsPictures(), sky_request(), CPU, no_hooks)
    assert are_alike(render_skyreels(box, SkyReelsPictures(), sky_request(), CPU, no_hooks), whole)


# ------------------------------------------------------------------ what does not go


@pytest.mark.parametrize(
    ("pictures", "changes", "message"),
    [
        ({"first": 1, "before": (1,)}, {}, "`image` and `video` are both connected"),
        ({"last": 1}, {}, "`last_image` is connected without `image`"),
        ({"first": 1}, {"block": 2}, "`causal_block_size` is 2, and with a first picture it has to be 1"),
        ({"before": (1,) * 4}, {}, "`video` has 4 frames, and `overlap_history` takes 5"),
        ({"before": (1,) * 9}, {"overlap": 8}, "`overlap_history` is 8, expected a multiple of 4 and one more"),
        ({"first": 1, "last": 1}, {"frames": 8}, "`frames` is 8; with a last picture it is a multiple of 4"),
        ({"first": 1, "last": 1}, {"frames": 13}, "`frames` is 13; with a last picture one pass has to do: at most 9"),
        ({}, {"width": 24}, "`width` × `height` is 24 × 16; SkyReels V2 diffusion forcing makes multiples of 16"),
    ],
)
def test_skyreels_says_what_does_not_go(
    make_box: MakeBox, pictures: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    box = make_box("skyreels_forcing")
    with pytest.raises(VideoGenError) as caught:
        render_skyreels(box, SkyReelsPictures(**pictures), sky_request(**changes), CPU, no_hooks)
    assert str(caught.value).startswith(message)
    assert not box.is_loaded, "told before gigabytes are read"


@pytest.mark.parametrize(
    ("name", "pictures", "changes", "message"),
    [
        ("skyreels_text", {"first": 1}, {}, "`image` is connected, and this model is SkyReels V2 text to video"),
        ("skyreels_image", {}, {}, "this model is SkyReels V2 image to video, and `image` is not connected"),
        (
            "skyreels_text",
            {"before": (1,) * 9},
            {},
            "`video` is connected, and this model is SkyReels V2 text to video",
        ),
        (
            "skyreels_image",
            {"first": 1, "last": 1},
            {},
            "`last_image` is connected, and this model is SkyReels V2 image",
        ),
        ("skyreels_text", {}, {"frames": 13}, "`frames` is 13; SkyReels V2 text to video makes at most 9"),
    ],
)
def test_each_model_of_skyreels_has_its_inputs(
    make_box: MakeBox, name: str, pictures: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(VideoGenError) as caught:
        render_skyreels(make_box(name), SkyReelsPictures(**pictures), sky_request(**changes), CPU, no_hooks)
    assert str(caught.value).startswith(message)


def test_learned_positions_are_for_one_size(make_box: MakeBox) -> None:
    box = make_box("cogvideox")
    with pytest.raises(VideoGenError, match="this CogVideoX has learned positions and makes only 32 × 32") as caught:
        render_cogvideox(box, picture(48), cog_request(width=48, height=48), CPU, no_hooks)
    assert caught.value.code == "widget-invalid"
    assert not box.is_loaded


@pytest.mark.parametrize(
    ("config", "limits", "sampled"),
    [
        # The published configurations of CogVideoX-5b-I2V and CogVideoX1.5-5B-I2V.
        (
            {
                "sample_width": 90,
                "sample_height": 60,
                "sample_frames": 49,
                "use_learned_positional_embeddings": True,
                "patch_size_t": None,
            },
            (49, True, 8, (720, 480)),
            {1: 49, 48: 49, 49: 49},
        ),
        (
            {"sample_width": 300, "sample_height": 300, "sample_frames": 81, "patch_size_t": 2},
            (161, False, 16, None),
            {1: 1, 10: 17, 81: 81, 128: 129, 161: 161},
        ),
    ],
)
def test_what_the_published_models_of_cogvideox_make(
    config: dict[str, Any], limits: tuple[Any, ...], sampled: dict[int, int]
) -> None:
    found = read_limits(config)
    assert (found.most, found.fixed, found.fps, found.size) == limits
    assert {wanted: found.sampled(wanted) for wanted in sampled} == sampled


def test_fewer_frames_are_cut_off_a_whole_clip(make_box: MakeBox) -> None:
    """Another number would replace the learned positions by computed ones."""
    box = make_box("cogvideox")
    whole = render_cogvideox(box, picture(COG_SIZE), cog_request(), CPU, no_hooks)
    assert are_alike(render_cogvideox(box, picture(COG_SIZE), cog_request(frames=4), CPU, no_hooks), whole[:4])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": FORWARD}, "`last_image` is connected, and `sampler` is F1"),
        ({"frames": 14}, "`frames` is 14; with a last picture it is a multiple of 12 and one more"),
        ({"width": 40}, "`width` × `height` is 40 × 32; FramePack makes multiples of 16"),
    ],
)
def test_framepack_says_what_does_not_go(make_box: MakeBox, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(VideoGenError) as caught:
        render_framepack(make_box("framepack"), None, picture(PACK_SIZE), pack_request(**changes), CPU, no_hooks)
    assert str(caught.value).startswith(message)


def test_a_short_last_window_after_a_picture(make_box: MakeBox) -> None:
    """diffusers counts its steps as those of a whole one, and looks for a latent frame that is not there."""
    box, first = make_box("skyreels_forcing"), picture(SKY_SIZE)
    size = {"width": SKY_SIZE, "height": SKY_SIZE, "num_inference_steps": 2}
    windows = {"base_num_frames": 17, "overlap_history": 5}
    kind = "SkyReelsV2DiffusionForcingImageToVideoPipeline"
    with pytest.raises(IndexError):
        call_directly(kind, box.request.folder, image=first, num_frames=25, **size, **windows)
    request = sky_request(frames=25, base_frames=17)
    found = render_skyreels(box, SkyReelsPictures(first), request, CPU, no_hooks)
    direct = call_directly(
        kind, box.request.folder, image=first, num_frames=29, guidance_scale=6.0, **size, **windows, **FORCING
    )
    assert are_alike(found, direct[:25])


def test_a_block_that_is_not_filled_stays_noise_in_diffusers(make_box: MakeBox) -> None:
    """Its last latent frame is not denoised, so that the frames at the end do not depend on the prompt."""
    box = make_box("skyreels_forcing")
    call = {"width": SKY_SIZE, "height": SKY_SIZE, "num_inference_steps": 2, "num_frames": 9, "base_num_frames": 9}
    kind = "SkyReelsV2DiffusionForcingPipeline"
    whole = call_directly(kind, box.request.folder, **call, causal_block_size=1, output_type="latent")
    dropped = call_directly(kind, box.request.folder, **call, causal_block_size=2, output_type="latent")
    noise = torch.randn(whole.unsqueeze(0).shape, generator=torch.Generator().manual_seed(SEED))[0]
    assert torch.equal(dropped[:, -1], noise[:, -1])
    assert not torch.equal(whole[:, -1], noise[:, -1])
    found = render_skyreels(box, SkyReelsPictures(), sky_request(base_frames=13, block=2), CPU, no_hooks)
    longer = {**call, "num_frames": 13, "base_num_frames": 13, "guidance_scale": 6.0}
    direct = call_directly(kind, box.request.folder, **longer, **{**FORCING, "causal_block_size": 2})
    assert are_alike(found, direct[:9])
