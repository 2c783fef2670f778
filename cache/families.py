"""What suits each kind of network, where the user leaves it to the pack."""

from typing import NamedTuple

from .policy import FIRST_BLOCK


class Family(NamedTuple):
    """A policy and its threshold, blocks that are always computed at either end, and the source."""

    title: str
    policy: str
    threshold: float
    front: int
    back: int
    source: str


_DBCACHE = "vipshop/cache-dit, DBCache's residual_diff_threshold"
_WAVESPEED = "chengzeyi/Comfy-WaveSpeed, README"
# by the class of the network in ComfyUI
FAMILIES = {
    "UNetModel": Family(
        "SD and SDXL UNets", FIRST_BLOCK, 0.2, 1, 0, f"{_WAVESPEED}: SDXL, 25 steps"
    ),
    "Flux": Family("FLUX", FIRST_BLOCK, 0.12, 1, 0, f"{_WAVESPEED}: FLUX.1-dev, 28 steps"),
    "Chroma": Family("Chroma", FIRST_BLOCK, 0.12, 1, 0, "as FLUX, of which it is made"),
    "OpenAISignatureMMDITWrapper": Family(
        "SD 3 and 3.5", FIRST_BLOCK, 0.12, 1, 0, f"{_WAVESPEED}: SD 3.5, 30 steps"
    ),
    "QwenImageTransformer2DModel": Family("Qwen-Image", FIRST_BLOCK, 0.08, 8, 0, _DBCACHE),
    "HunyuanVideo": Family("HunyuanVideo", FIRST_BLOCK, 0.08, 8, 0, _DBCACHE),
    "LTXVModel": Family("LTX-Video", FIRST_BLOCK, 0.08, 8, 0, _DBCACHE),
    "WanModel": Family("Wan", FIRST_BLOCK, 0.08, 8, 0, _DBCACHE),
    "VaceWanModel": Family("Wan VACE", FIRST_BLOCK, 0.08, 8, 0, _DBCACHE),
    "CameraWanModel": Family("Wan camera control", FIRST_BLOCK, 0.08, 8, 0, _DBCACHE),
    "MMDiT": Family("AuraFlow", FIRST_BLOCK, 0.08, 8, 0, _DBCACHE),
}
