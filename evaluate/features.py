"""What every measure of a set of pictures asks of their features."""

import torch


def checked(features: torch.Tensor, of: str, least: int = 2) -> torch.Tensor:
    """Features in float64.

    Args:
        features: [N, D], one row for each picture.
        of: what they are of, as the user knows it; begins the message of an error.
        least: pictures that the measure needs.

    Raises:
        ValueError: they are no matrix, too few, or not all finite.
    """
    if features.ndim != 2:
        raise ValueError(
            f"{of}: features have the shape {list(features.shape)}; it must be [N, D]."
        )
    if len(features) < least:
        raise ValueError(f"{of}: {len(features)} pictures; this measure needs {least} or more.")
    broken = (~torch.isfinite(features)).any(dim=1).nonzero().flatten().tolist()
    if broken:
        raise ValueError(
            f"{of}: features of picture {broken[0] + 1} are not finite (and of {len(broken) - 1} "
            "others). Look whether the picture is black, or run the feature extractor in float32."
        )
    return features.double()


def checked_pair(
    a: torch.Tensor, b: torch.Tensor, least: int = 2
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of the reference and of the other set, in float64.

    Raises:
        ValueError: as of `checked`, or the two have features of different extractors.
    """
    a, b = checked(a, "the reference set", least), checked(b, "the set to judge", least)
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"the reference set has {a.shape[1]} features a picture and the set to judge "
            f"{b.shape[1]}; both must come from one feature extractor."
        )
    return a, b
