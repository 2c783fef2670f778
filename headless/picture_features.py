"""The networks that look at pictures for an evaluation, from local files.

They are loaded before the first picture is made, so that what is missing is said at once.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers
from safetensors.torch import load_file

from ..evaluate.inception import SIDE, inception_features
from ..evaluate.lpips import LEAST_SIDE, lpips
from .diffusers_files import LOCAL
from .evaluation_config import Features

# torchvision's files, in torch's cache of downloads
BACKBONES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
SOURCE = "https://download.pytorch.org/models/"
# of torchmetrics, which comes with what LPIPS has learned
HEADS = Path("functional/image/lpips_models")
INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"


class ClipEye(NamedTuple):
    model: transformers.CLIPModel
    processor: object
    tokenizer: object

    @torch.no_grad()
    def of_pictures(self, pictures: np.ndarray) -> torch.Tensor:
        """[B, D] on the CPU, of [B, H, W, 3] uint8."""
        pixels = self.processor(images=list(pictures), return_tensors="pt").pixel_values
        seen = self.model.vision_model(pixel_values=pixels.to(self.model.device)).pooler_output
        return self.model.visual_projection(seen).float().cpu()

    @torch.no_grad()
    def of_prompts(self, prompts: list[str]) -> tuple[torch.Tensor, str]:
        """[N, D] on the CPU, and a sentence on those that are too long to be read whole."""
        most, known, cut = self.model.config.text_config.max_position_embeddings, {}, 0
        for prompt in dict.fromkeys(prompts):
            cut += len(self.tokenizer(prompt).input_ids) > most
            tokens = self.tokenizer(
                prompt, truncation=True, max_length=most, return_tensors="pt"
            ).to(self.model.device)
            read = self.model.text_model(**tokens).pooler_output
            known[prompt] = self.model.text_projection(read)[0].float().cpu()
        note = f"The CLIP score of {cut} prompts is of their first {most} tokens." if cut else ""
        return torch.stack([known[prompt] for prompt in prompts]), note


class InceptionEye(NamedTuple):
    weights: dict[str, torch.Tensor]

    @torch.no_grad()
    def of_pictures(self, pictures: np.ndarray) -> torch.Tensor:
        """[B, 2048] on the CPU, of [B, H, W, 3] uint8."""
        device = next(iter(self.weights.values())).device
        given = torch.from_numpy(pictures).to(device).movedim(-1, 1)
        return inception_features(self.weights, given).cpu()


class LpipsEye(NamedTuple):
    network: str
    backbone: dict[str, torch.Tensor]
    heads: dict[str, torch.Tensor]

    @torch.no_grad()
    def of_pair(self, a: torch.Tensor, b: torch.Tensor) -> float:
        """The distance of two [3, H, W] pictures in 0..1."""
        device = next(iter(self.heads.values())).device
        pair = (picture[None].to(device) for picture in (a, b))
        return lpips(self.network, self.backbone, self.heads, *pair).item()


class Eyes(NamedTuple):
    """What looks at pictures; None is left out."""

    clip: ClipEye | None = None
    inception: InceptionEye | None = None
    lpips: LpipsEye | None = None

    def to(self, device: torch.device) -> "Eyes":
        moved = lambda weights: {name: weight.to(device) for name, weight in weights.items()}
        clip, inception, lpips = self
        if clip is not None:
            clip.model.to(device)
        return Eyes(
            clip,
            inception and InceptionEye(moved(inception.weights)),
            lpips and LpipsEye(lpips.network, moved(lpips.backbone), moved(lpips.heads)),
        )


def eyes_of(features: Features) -> Eyes:
    """Load what [features] names, on the CPU in float32.

    Raises:
        ValueError: a file or package is missing, or a file is of something else; says what to put
            where.
    """
    return Eyes(
        None if features.clip is None else _clip(features.clip),
        None if features.inception is None else _inception(features.inception),
        None if features.lpips is None else _lpips(features),
    )


def _clip(folder):
    # the one of torchvision gives other numbers where it is installed
    processor = getattr(transformers, "CLIPImageProcessorPil", None)
    try:
        return ClipEye(
            transformers.CLIPModel.from_pretrained(folder, use_safetensors=True, **LOCAL).eval(),
            (processor or transformers.CLIPImageProcessor).from_pretrained(folder, **LOCAL),
            transformers.CLIPTokenizer.from_pretrained(folder, **LOCAL),
        )
    # transformers refuses a folder in many ways
    except Exception as error:
        raise ValueError(
            f"[features] clip is {str(folder)!r}, which cannot be read: {error} Give the folder of "
            "a CLIPModel of transformers, with its model.safetensors, preprocessor_config.json and "
            "tokenizer, such as openai/clip-vit-large-patch14 as it is downloaded. Nothing is "
            "downloaded here."
        ) from error


def _inception(path):
    what = f"torch-fidelity's {INCEPTION_FILE}"
    if not path.is_file():
        raise ValueError(
            f"[features] inception is {str(path)!r}, which is not there. Give {what}, from the "
            "releases of torch-fidelity. Nothing is downloaded here."
        )
    eye = InceptionEye(_weights("inception", path, what))
    black = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    _check("inception", path, what, lambda: eye.of_pictures(black))
    return eye


def _lpips(features):
    network, name = features.lpips, BACKBONES[features.lpips]
    package = find_spec("torchmetrics")
    if package is None:
        raise ValueError(
            "[features] lpips needs torchmetrics, which is not installed. Install it: pip install "
            "torchmetrics."
        )
    heads = Path(package.submodule_search_locations[0]) / HEADS / f"{network}.pth"
    path = features.lpips_weights or _cached(name, features.is_download_allowed)
    what = f"torchvision's {name}"
    eye = LpipsEye(
        network, _weights("lpips_weights", path, what), _weights("lpips", heads, "torchmetrics'")
    )
    black = torch.zeros(3, LEAST_SIDE, LEAST_SIDE)
    _check("lpips_weights", path, what, lambda: eye.of_pair(black, black))
    return eye


def _cached(name, is_download_allowed):
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        if not is_download_allowed:
            raise ValueError(
                f"[features] lpips needs {SOURCE}{name}, which is not in {path.parent}. Put it "
                "there, or set lpips_weights to the file, or download = true to have it fetched."
            )
        torch.hub.load_state_dict_from_url(SOURCE + name, check_hash=True, weights_only=True)
    return path


def _weights(key, path, what):
    """Tensors of a file in float32; a .pth is read without running what may be in it."""
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.float() for name, tensor in found.items()}
    # torch and safetensors refuse a file in many ways
    except Exception as error:
        raise ValueError(
            f"[features] {key} is {str(path)!r}, which cannot be read: {error} Give {what}."
        ) from error


def _check(key, path, what, look):
    try:
        look()
    except (KeyError, RuntimeError) as error:
        raise ValueError(
            f"[features] {key} is {str(path)!r}, whose weights are of another network ({error}). "
            f"Give {what}."
        ) from error
