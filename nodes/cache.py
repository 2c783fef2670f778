"""The node that lets a sampling run reuse what its earlier steps have computed."""

import logging
from functools import partial

from comfy_api.latest import io

from ..cache.forecast import ORDERS
from ..cache.policy import FIXED, KINDS, WHOLE_STEP, Policy, check_policy
from .cache_inputs import AUTO, cache_inputs
from .host import cache_run, facts, texts
from .schema import check_choice, schema


def policy_of(model, name: str, threshold: float, max_skips: int, coefficients: str) -> Policy:
    """The policy that the node's inputs ask for on this MODEL.

    Raises:
        ValueError: an input is out of range, or does not go with the policy or the network.
    """
    check_choice("policy", name, (AUTO, *KINDS))
    family = cache_run.family_of(model)
    if family is None and name != WHOLE_STEP:
        raise ValueError(cache_run.unreachable(model, name))
    if name == AUTO:
        name, threshold = family.policy, family.threshold
    policy = Policy(name, threshold, max_skips, _numbers(coefficients))
    check_policy(policy)
    return policy


def _numbers(text):
    words = text.replace(",", " ").split()
    try:
        return tuple(map(float, words))
    except ValueError as error:
        raise ValueError(
            f"coefficients are {text!r}; allowed are numbers with commas or spaces between them, "
            "or nothing."
        ) from error


def told(policy: Policy, report: cache_run.Report) -> str:
    """What a run with a cache has to say, a line for each fact."""
    tally, (computed, reused) = report.tally, report.guidance
    number = f"threshold {policy.threshold:g}"
    if policy.kind == FIXED:
        number = f"max_skips {policy.max_skips}"
    lines = [f"cache, {policy.kind}, {number}: {report.seconds:.1f} s"]
    if tally.reused:
        lines.append(f"{tally.reused} of {tally.passes} passes reused an earlier step")
        lines.append(f"{tally.passes_saved:.1f} passes of work saved")
    elif policy.max_skips and policy.kind != FIXED:
        lines.append("no step was like an earlier one; a higher threshold reuses more")
    if reused:
        lines.append(f"{reused} of {computed + reused} second passes of guidance left out")
    if report.quality is not None:
        seconds, psnr, ssim = report.quality
        times = seconds / report.seconds
        lines.append(f"without the cache: {seconds:.1f} s, {times:.2f} times as long")
        lines.append(f"latents with to without: {psnr:.1f} dB PSNR, {ssim:.3f} SSIM")
    return "\n".join(lines)


def run_of(report: cache_run.Report) -> dict:
    """What the page shows of a run: passes, how many of them were saved in work, seconds."""
    tally = report.tally
    saved, seconds = round(tally.passes_saved, 1), round(report.seconds, 2)
    return {"passes": tally.passes, "steps": report.steps, "saved": saved, "seconds": seconds}


def _tell(node, policy, report):
    text = told(policy, report)
    texts.show(node, text)
    facts.send(node, run=run_of(report))
    logging.info("FewStep %s", text.replace("\n", "; "))


class FewStepCache(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder="speed",
            node_id="FewStepCache",
            hidden=texts.NEEDED,
            display_name="Cache (FewStep)",
            description=(
                "For models that nobody has distilled, at 10 steps and more: leaves out parts of "
                "the network in steps that are like an earlier one, and the second pass of cfg. "
                "Says after a run how much was left out, and on request what that did."
            ),
            search_aliases=["teacache", "first block cache", "easycache", "deepcache", "fast"],
            inputs=cache_inputs(),
            outputs=[io.Model.Output()],
        )

    @classmethod
    def execute(
        cls, model, policy, threshold, max_skips, forecast, coefficients, **others
    ) -> io.NodeOutput:
        check_choice("forecast", forecast, ORDERS)
        chosen = policy_of(model, policy, threshold, max_skips, coefficients)
        settings = cache_run.Settings(chosen, ORDERS[forecast], **others)
        return io.NodeOutput(cache_run.with_cache(model, settings, partial(_tell, cls, chosen)))
