"""What all pipelines have in common while they render: seeds, steps, and frames out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .packages import need_package

#: Called after each step with the steps done, those in all, and the latents.
OnStep = Callable[[int, int, Any], None]


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Leave torch's global generators as they were: loading a model or a LoRA draws weights from them that are then replaced."""
    torch = need_package("torch")
    cards = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=cards):
        yield


@contextmanager
def seeded(seed: int) -> Iterator[Any]:
    """A generator with this seed, and torch's global ones with it for the time being.

    SkyReels' `addnoise_condition` draws from the global one, which others must find as it was. Nothing may be loaded in
    between. The generator is the CPU's, so that every device draws the same noise.
    """
    torch = need_package("torch")
    with random_state_kept():
        torch.manual_seed(seed)
        yield torch.Generator("cpu").manual_seed(seed)


class StepCounter:
    """A pipeline's ``callback_on_step_end``: counts over all passes, and passes on.

    Args:
        passes: windows or sections, each with as many steps as the pipeline says.
    """

    def __init__(self, passes: int, on_step: OnStep) -> None:
        self._passes, self._on_step, self._done = passes, on_step, 0

    def __call__(self, pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        self._done += 1
        total = max(self._done, self._passes * pipeline.num_timesteps)
        self._on_step(self._done, total, tensors["latents"])
        return tensors


def take_frames(video: Any) -> Any:
    """The frames of a pipeline's only video as ComfyUI has them: (frames, height, width, 3), float32, on the CPU."""
    return video[0].detach().permute(0, 2, 3, 1).float().cpu().contiguous()
