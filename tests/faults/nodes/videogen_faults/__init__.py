"""Nodes that fail on demand; for tests only, loaded by ``--extra-model-paths-config``.

Each passes images through, unless its `seeds` ("101,102", or "*" for all) name the seed that it gets. With `times` it
fails so often and then no more, which it counts in the file `record`: a line for every time that it was executed.
"""

import os
import sys
import time
from typing import ClassVar

import comfy.model_management
import comfy.utils
import folder_paths
import numpy as np
import torch


class _FaultNode:
    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "execute"
    CATEGORY = "videogen/faults"
    MORE: ClassVar[dict] = {}

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "images": ("IMAGE",),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**64 - 1, "forceInput": True}),
                "seeds": ("STRING", {"default": "*"}),
                "times": ("INT", {"default": 0, "min": 0, "max": 1_000_000}),
                "record": ("STRING", {"default": ""}),
                **cls.MORE,
            }
        }

    def execute(self, images, seed, seeds, times, record, **more):
        meant = seeds.strip() == "*" or str(seed) in [one.strip() for one in seeds.split(",")]
        earlier = count_lines(record, f"{type(self).__name__} failed")
        if record:
            with open(record, "a", encoding="utf-8") as file:
                file.write(f"{type(self).__name__} executed {seed}\n")
        if meant and (not times or earlier < times) and self.should_fail(images, **more):
            if record:
                with open(record, "a", encoding="utf-8") as file:
                    file.write(f"{type(self).__name__} failed {seed}\n")
            self.fail(**more)
        return (images,)

    def should_fail(self, images, **more):
        return True

    def fail(self, **more):
        raise NotImplementedError


class FaultExit(_FaultNode):
    """Ends the thread that executes prompts (the server goes on answering), or the whole server."""

    MORE: ClassVar[dict] = {"what": (["worker", "server"], {"default": "worker"})}

    def fail(self, what):
        if what == "server":
            print("FaultExit ends the server", flush=True)
            os._exit(7)
        sys.exit("FaultExit ends the worker")


class FaultOutOfMemory(_FaultNode):
    """Runs out of memory while the images have more than `limit` pixels."""

    MORE: ClassVar[dict] = {"limit": ("INT", {"default": 0, "min": 0, "max": 2**31})}

    def should_fail(self, images, limit):
        return images.shape[1] * images.shape[2] > limit

    def fail(self, limit):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.96 GiB. (FaultOutOfMemory)")


class FaultError(_FaultNode):
    MORE: ClassVar[dict] = {"message": ("STRING", {"default": "shapes do not match"})}

    def fail(self, message):
        raise ValueError(f"FaultError: {message}")


class FaultService(_FaultNode):
    """Asks a service that needs a key, and repeats the key in its error and in the server's log."""

    MORE: ClassVar[dict] = {"api_key": ("STRING", {"default": ""}), "note": ("STRING", {"default": ""})}

    def execute(self, images, seed, seeds, times, record, api_key, note):
        print(f"FaultService asks with {api_key} and {note}", flush=True)
        with open(record, "a", encoding="utf-8") as file:
            file.write(f"FaultService got {api_key} and {note}\n")
        return super().execute(images, seed, seeds, times, record, api_key=api_key, note=note)

    def fail(self, api_key, note):
        raise ValueError(
            f"401 Unauthorized for https://service/?key={api_key}&note={note}, sent Authorization: Bearer {api_key}"
        )


class FaultSleep(_FaultNode):
    """Takes its time, with or without saying so; can be interrupted."""

    MORE: ClassVar[dict] = {
        "seconds": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 3600.0}),
        "progress": ("BOOLEAN", {"default": True}),
    }

    def fail(self, seconds, progress):
        steps = max(1, round(seconds * 10))
        bar = comfy.utils.ProgressBar(steps)
        for _ in range(steps):
            comfy.model_management.throw_exception_if_processing_interrupted()
            time.sleep(seconds / steps)
            if progress:
                bar.update(1)


class FaultServer(_FaultNode):
    """Does to the whole server what the file ``fault.txt`` in its input folder says, which it takes away.

    "dead context": from now on every prompt fails, as after a fault in a kernel of the card; "hang": this prompt never ends,
    and nothing interrupts it. Either lasts as long as the process.
    """

    dead = False

    @classmethod
    def IS_CHANGED(cls, **inputs):
        return float("nan")  # it is asked each time, whatever is cached

    def fail(self):
        path = os.path.join(folder_paths.get_input_directory(), "fault.txt")
        try:
            with open(path, encoding="utf-8") as file:
                fault = file.read()
            os.remove(path)
        except OSError:
            fault = ""
        FaultServer.dead = FaultServer.dead or fault == "dead context"
        if FaultServer.dead:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        while fault == "hang":
            time.sleep(1.0)


class FaultFirstImage:
    """An image as often as it takes, for segments that begin from the last frame of the one before."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "execute"
    CATEGORY = "videogen/faults"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",), "frames": ("INT", {"forceInput": True})}}

    def execute(self, image, frames):
        # Each frame a little brighter than the one before: where a segment went on from can be seen.
        steps = torch.arange(1, frames + 1, dtype=image.dtype).reshape(-1, 1, 1, 1)
        return ((image[:1] + steps * 0.02).clamp(0.0, 1.0),)


def count_lines(path, beginning):
    try:
        with open(path, encoding="utf-8") as file:
            return sum(line.startswith(beginning) for line in file)
    except OSError:
        return 0


class FaultFootage:
    """A sampler that has drawn what a test has put into a folder: ``SEED.npy``, bytes (n, height, width, 3)."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "execute"
    CATEGORY = "videogen/faults"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "images": ("IMAGE",),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**64 - 1, "forceInput": True}),
                "folder": ("STRING", {"default": ""}),
            }
        }

    def execute(self, images, seed, folder):
        return (torch.from_numpy(np.load(os.path.join(folder, f"{seed}.npy"))).float() / 255,)


NODE_CLASS_MAPPINGS = {
    cls.__name__: cls
    for cls in (
        FaultExit,
        FaultOutOfMemory,
        FaultError,
        FaultService,
        FaultSleep,
        FaultServer,
        FaultFirstImage,
        FaultFootage,
    )
}
