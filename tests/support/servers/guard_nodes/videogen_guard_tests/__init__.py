"""A model of random weights that takes its time; for tests only, loaded by ``--extra-model-paths-config``."""

import hashlib
import itertools
import sys
import time

import comfy.model_patcher
import comfy.supported_models
import torch

CONTEXT = 16
CONFIG = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 32,
    "num_res_blocks": [1, 1],
    "channel_mult": [1, 2],
    "num_heads": 2,
    "num_head_channels": -1,
    "use_spatial_transformer": True,
    "transformer_depth": [1, 1],
    "transformer_depth_output": [1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "context_dim": CONTEXT,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
    "use_temporal_attention": False,
    "legacy": False,
}


class GuardTestModel:
    """A tiny UNet as MODEL. Each call of it is a line in the file `record` and takes `seconds`."""

    RETURN_TYPES = ("MODEL", "CONDITIONING")
    FUNCTION = "build"
    CATEGORY = "videogen/tests"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "seconds": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 10.0}),
                "record": ("STRING", {"default": ""}),
            }
        }

    def build(self, seconds, record):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            config = comfy.supported_models.SD15(dict(CONFIG))
            config.set_inference_dtype(torch.float32, None)
            model = config.get_model({}, device=torch.device("cpu"))
            # ComfyUI leaves weights that no file fills as they are in memory.
            for parameter in model.diffusion_model.parameters():
                torch.nn.init.normal_(parameter, std=0.05)
            context = torch.randn(1, 77, CONTEXT)
        cpu = torch.device("cpu")
        patcher = comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)

        def take_time(apply_model, options):
            if record:
                with open(record, "a", encoding="utf-8") as file:
                    file.write(f"{float(options['timestep'][0]):.4f}\n")
            time.sleep(seconds)
            return apply_model(options["input"], options["timestep"], **options["c"])

        patcher.set_model_unet_function_wrapper(take_time)
        return (patcher, [[context, {}]])


class GuardTestDigest:
    """The hash of a latent's every bit, and images of it."""

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "digest"
    CATEGORY = "videogen/tests"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"samples": ("LATENT",)}}

    def digest(self, samples):
        latent = samples["samples"].contiguous()
        images = torch.sigmoid(latent[:, :3]).movedim(1, -1)
        return {"ui": {"sha256": [hashlib.sha256(latent.numpy().tobytes()).hexdigest()]}, "result": (images,)}


class GuardTestClock:
    """Sets the server's wall clock a day back and forth with every look at it, or puts it right again."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "execute"
    CATEGORY = "videogen/tests"
    REAL = staticmethod(time.time)

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "jumps": ("BOOLEAN", {"default": True})}}

    def execute(self, model, jumps):
        sign = itertools.cycle((86_400.0, -86_400.0))
        real = type(self).REAL
        time.time = (lambda: real() + next(sign)) if jumps else real
        return (model,)


class GuardTestSlowPipeline:
    """A diffusers pipeline that takes `seconds` before each step, and writes a line into the file `record`."""

    RETURN_TYPES = ("VIDEOGEN_PIPELINE",)
    FUNCTION = "slow_down"
    CATEGORY = "videogen/tests"

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "pipeline": ("VIDEOGEN_PIPELINE",),
                "seconds": ("FLOAT", {"default": 0.0, "min": 0.0, "max": 10.0}),
                "record": ("STRING", {"default": ""}),
            }
        }

    def slow_down(self, pipeline, seconds, record):
        def take_time():
            with open(record, "a", encoding="utf-8") as file:
                file.write("step\n")
            time.sleep(seconds)

        return (pipeline.guarded_by(take_time),)


class GuardTestLoadedPipelines:
    """How many diffusers pipelines are in memory."""

    RETURN_TYPES = ()
    FUNCTION = "count"
    CATEGORY = "videogen/tests"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"time": ("FLOAT", {"default": 0.0})}}

    def count(self, time):
        loading = next(module for name, module in sys.modules.items() if name.endswith("videogen.pipelines.loading"))
        return {"ui": {"loaded": [sum(box.is_loaded for box in loading._BOXES)]}}


NODE_CLASS_MAPPINGS = {
    cls.__name__: cls
    for cls in (GuardTestModel, GuardTestDigest, GuardTestClock, GuardTestSlowPipeline, GuardTestLoadedPipelines)
}
