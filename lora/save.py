"""Save a LoRA with metadata that says what it needs to be sampled as it was trained.

Sources: the SAI model specification 1.0.0 (Stability-AI/ModelSpec) for modelspec entries, and the
names that kohya-ss/sd-scripts gives to ss_ entries and to architectures.
"""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file

from .layers import Layer, Tensors, check_finite

RECIPE = "fewstep.recipe"
# bytes; recipes have about 500, and every reader of the file has to read the header whole
RECIPE_LIMIT = 100_000
NEEDED = ("title", "base", "prediction", "default_steps", "guidance", "sampler")
# a base that is not here is its own name; sd-scripts and ComfyUI differ on sd3, this is ComfyUI's
ARCHITECTURES = {
    "sd15": "stable-diffusion-v1",
    "sd21": "stable-diffusion-v2-512",
    "sd21 v": "stable-diffusion-v2-768-v",
    "sdxl": "stable-diffusion-xl-v1-base",
    "sd3": "stable-diffusion-v3-medium",
    "flux": "flux-1-dev",
}
# the specification has words for these two alone
PREDICTION_TYPES = {"eps": "epsilon", "v": "v"}


def file_metadata(
    recipe: Mapping, layers: Iterable[Layer], metadata: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Header entries for a LoRA: `fewstep.recipe`, `modelspec.*`, kohya's `ss_network_*`.

    Args:
        recipe: what the LoRA needs, as JSON: "version" 1; "id" of a shipped recipe or null;
            "title"; "family"; "base" ("sdxl"); "kind" ("lora"); "steps", the list of trained
            ones; "default_steps"; "guidance" {"kind", "default", "low", "high"}; "sampler"
            {"name", "eta"}; "schedule" with one of "spacing", "timesteps", "sigmas", "scheduler";
            "shift"; "prediction" ("eps", "v", "x0", "flow"); "start"; "strength"; "stage";
            "negative_works"; "teacher", a text or null.
        layers: of the file, for the commonest rank and alpha.
        metadata: entries to keep, such as those that `convert` returns.

    Raises:
        ValueError: the recipe is no JSON, too large, or lacks what the other entries are made of.
    """
    entries = {
        **(metadata or {}),
        RECIPE: _as_json(recipe),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": _architecture(recipe),
        # the specification wants one; loaders of LoRAs go by the names of the tensors
        "modelspec.implementation": "diffusers",
        "modelspec.title": recipe["title"],
        "modelspec.usage_hint": _usage_hint(recipe),
        "ss_network_module": "networks.lora",
    }
    if recipe["prediction"] in PREDICTION_TYPES:
        entries["modelspec.prediction_type"] = PREDICTION_TYPES[recipe["prediction"]]
    sizes = Counter((y.rank, y.rank if y.alpha is None else y.alpha) for y in layers if y.rank)
    for (rank, alpha), _ in sizes.most_common(1):
        entries |= {"ss_network_dim": str(rank), "ss_network_alpha": str(float(alpha))}
    return entries


def save(
    path: str | Path, tensors: Tensors, metadata: Mapping[str, str], *, overwrite: bool = False
) -> None:
    """Write a safetensors file; it stands under its name only once it is whole.

    Raises:
        ValueError: the file is there already and overwrite is off; there is no tensor, or one
            with NaN or infinity.
        OSError: the folder is missing, full or read-only.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise ValueError(f"{path} is there already; choose another name, or allow to overwrite.")
    if not tensors:
        raise ValueError(f"there are no tensors for {path.name}; the LoRA would change nothing.")
    for name, tensor in tensors.items():
        check_finite(tensor, name)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    # safetensors 0.8 replaces a file that is there, older ones write into it
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        try:
            save_file(whole, made, dict(metadata))
        except SafetensorError as error:
            raise OSError(
                f"{path} could not be written: {error}. Free some of the disk, or save elsewhere; "
                "what stood there before is still there."
            ) from error
        os.replace(made, path)


def _as_json(recipe):
    try:
        text = json.dumps(dict(recipe), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"recipe is no JSON: {error}. Use texts, numbers and lists.") from error
    if len(text) > RECIPE_LIMIT:
        raise ValueError(
            f"recipe has {len(text)} bytes of JSON; allowed are {RECIPE_LIMIT}. Shorten its texts."
        )
    if missing := [field for field in NEEDED if field not in recipe]:
        raise ValueError(f"recipe has no {', '.join(missing)}; give all of {', '.join(NEEDED)}.")
    return text


def _architecture(recipe):
    base = recipe["base"]
    named = ARCHITECTURES.get(f"{base} {recipe['prediction']}") or ARCHITECTURES.get(base, base)
    return f"{named}/lora"


def _usage_hint(recipe):
    steps, guidance, sampler = recipe["default_steps"], recipe["guidance"], recipe["sampler"]
    passes = "1 step" if steps == 1 else f"{steps} steps"
    scale = "cfg" if guidance["kind"] == "cfg" else "guidance"
    eta = "" if sampler.get("eta") is None else f" at eta {sampler['eta']:g}"
    return f"Sample with {passes}, {scale} {guidance['default']:g} and {sampler['name']}{eta}."
