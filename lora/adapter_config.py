"""Where PEFT's dialects keep lora_alpha: the adapter's settings in the file's metadata.

One entry, ADAPTER_METADATA, is JSON with the fields of peft's LoraConfig (r, lora_alpha,
rank_pattern, alpha_pattern, use_rslora, ...), each with its component before it ("unet.lora_alpha")
where the keys have one too.

Source: what diffusers 0.42.1 and peft 0.21.2 write and read.
"""

import json
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping

from .dialects import ENCODERS, written_prefix

ADAPTER_METADATA = "lora_adapter_metadata"
LONGEST_PATTERN = 500
MOST_REPEATS = 2


def adapter_configs(metadata: Mapping[str, str]) -> dict[str, dict]:
    """PEFT's settings in a file's header metadata, by component as in `Key`; {} without any.

    Raises:
        ValueError: the entry is no JSON object.
    """
    text = metadata.get(ADAPTER_METADATA)
    if not text:
        return {}
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"metadata {ADAPTER_METADATA} is no JSON: {error}. Remove it.") from error
    if not isinstance(fields, dict):
        raise ValueError(f"metadata {ADAPTER_METADATA} is {text[:40]!r}; allowed is a JSON object.")
    components = {name: component for component, name in ENCODERS.items() if component != "te1"}
    configs = defaultdict(dict)
    for name, value in fields.items():
        prefix, _, field = name.rpartition(".")
        configs[components.get(prefix, prefix)][field] = value
    return dict(configs)


def configured_alpha(config: Mapping, module: str, rank: int) -> float | None:
    """lora_alpha of a module by PEFT's settings, such that lora_alpha / rank is its scale.

    Raises:
        ValueError: the alpha is no finite number, or a pattern no regular expression.
    """
    alpha = config.get("lora_alpha")
    try:
        # a pattern is a regular expression for the end of the path; the first that fits counts
        for pattern, value in dict(config.get("alpha_pattern") or {}).items():
            _check_cost(pattern)
            if re.fullmatch(rf"(?:.*\.)?(?:{pattern})", module):
                alpha = value
                break
    except (re.error, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"metadata {ADAPTER_METADATA} has a broken alpha_pattern: {error}. Remove the entry."
        ) from error
    if alpha is None:
        return None
    is_number = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    if not is_number or not abs(alpha) <= sys.float_info.max:
        raise ValueError(
            f"metadata {ADAPTER_METADATA} says lora_alpha {str(alpha)[:40]} for {module!r}; "
            "allowed is a finite number. Remove the entry."
        )
    return alpha * math.sqrt(rank) if config.get("use_rslora") else float(alpha)


def _check_cost(pattern):
    """Patterns come from a stranger's file: those that could run for hours are not tried."""
    repeats = len(re.findall(r"(?<!\\)[*+{]", pattern))
    if len(pattern) > LONGEST_PATTERN or repeats > MOST_REPEATS or re.search(r"\)[*+{?]", pattern):
        raise ValueError(f"{pattern[:40]!r} is too complex")


def adapter_config(ranks: Mapping[str, int], alphas: Mapping[str, float], **flags: bool) -> dict:
    """PEFT's settings for modules of these ranks and alphas; exceptions are named in full."""

    def exceptions(values, usual):
        return {f"^{re.escape(k)}": value for k, value in values.items() if value != usual}

    rank, alpha = (Counter(values.values()).most_common(1)[0][0] for values in (ranks, alphas))
    return {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": exceptions(ranks, rank),
        "alpha_pattern": exceptions(alphas, alpha),
        "target_modules": sorted(ranks),
        **flags,
    }


def adapter_metadata(configs: Mapping[str, dict], dialect: str) -> dict[str, str]:
    """The metadata entry for settings by component, in a file of this dialect; {} for none."""
    fields = {}
    for component, config in configs.items():
        prefix = written_prefix(dialect, component, "").removesuffix("base_model.model.")
        fields |= {prefix + field: value for field, value in config.items()}
    return {ADAPTER_METADATA: json.dumps(fields, indent=2, sort_keys=True)} if fields else {}
