"""What to put in the place of a value that is not computed.

One known value is used again. Two or more are continued as a polynomial through them: Liu et al.,
"From Reusing to Forecasting: Accelerating Diffusion Models with TaylorSeers", arXiv:2503.06923.
Divided differences take the place of its finite differences, since computed steps are not always
equally far apart.
"""

import torch

# by what people choose: how many values before the last one are looked at
ORDERS = {"reuse": 0, "taylor": 1}


def forecast(known: list[tuple[float, torch.Tensor]], at: float) -> torch.Tensor:
    """Continue known values to another place, by Newton's polynomial through them.

    Args:
        known: one or more (place, value), the places rising.
        at: the place wanted.

    Returns:
        a new tensor like the values; exact for polynomials of a degree below len(known).
    """
    places = [place for place, _ in known]
    column = [value for _, value in known]
    # the polynomial starts from the newest value, which alone is used again as it is
    made, factor = column[-1].clone(), 1.0
    for order in range(1, len(known)):
        steps = [places[i + order] - places[i] for i in range(len(column) - 1)]
        column = [(b - a) / h for a, b, h in zip(column, column[1:], steps, strict=False)]
        factor *= at - places[-order]
        made += factor * column[-1]
    return made
