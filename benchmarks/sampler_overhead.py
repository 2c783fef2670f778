"""Time of FewStep's samplers against ComfyUI's own, in one process, on the same tiny model.

    .venv/comfyui/bin/python benchmarks/sampler_overhead.py [folder of ComfyUI]

The model is small on purpose: whatever a sampler does between two network passes weighs most where
a pass is short. Runs alternate, ours and the core's, and each pair gives one ratio.
"""

import argparse
import gc
import itertools
import logging
import statistics
import sys
import time
from typing import NamedTuple

from in_comfyui import load_comfyui

PAIRS = {"fewstep_lcm": "lcm", "fewstep_euler": "euler"}
# batch and steps
CASES = ((1, 4), (1, 20), (4, 4))
REPETITIONS = 40
WARM_UP = 3
LIMIT = 1.05


class Times(NamedTuple):
    """Seconds of one sampling run."""

    wall: float
    # of this process alone, hence the steadier one on a busy machine
    cpu: float


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("comfyui", nargs="?", help="default: $COMFYUI_PATH or ~/comfy/ComfyUI")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    arguments = parser.parse_args()
    sampler_of, runner = prepare(arguments.comfyui)
    print("| sampler | batch | steps | core, ms a step | ratio, CPU time | ratio, wall time |")
    print("|---|---|---|---|---|---|")
    worst = 0.0
    for (ours, core), (batch, steps) in itertools.product(PAIRS.items(), CASES):
        run = runner(batch, steps)
        pairs = alternate(run, sampler_of(ours), sampler_of(core), arguments.repetitions)
        step = 1000 * statistics.median(theirs.cpu for _, theirs in pairs) / steps
        cpu, wall = ([getattr(a, k) / getattr(b, k) for a, b in pairs] for k in ("cpu", "wall"))
        worst = max(worst, statistics.median(cpu))
        cells = [f"{ours} / {core}", batch, steps, f"{step:.2f}", spread(cpu), spread(wall)]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    print(f"\nworst median ratio of CPU time {worst:.3f}, allowed {LIMIT}")
    return int(worst > LIMIT)


def prepare(comfyui):
    """Load ComfyUI and the pack.

    Returns:
        (name -> SAMPLER), (batch, steps -> (SAMPLER -> one sampling run)).
    """
    load_comfyui(comfyui)
    logging.disable(logging.INFO)

    import comfy.sample
    import comfy.samplers
    import torch
    from host import tiny_models

    from fewstep.nodes import samplers, schedules
    from fewstep.nodes.host import runs, sampling

    torch.set_num_threads(1)
    model = tiny_models.tiny_model()
    positive, negative = tiny_models.conditioning(1), tiny_models.conditioning(2)

    def sampler_of(name):
        ours = getattr(samplers, name, None)
        return runs.as_sampler(ours) if ours else comfy.samplers.sampler_object(name)

    def runner(batch, steps):
        latent = torch.zeros(batch, *tiny_models.LATENT_SHAPE[1:])
        noise = comfy.sample.prepare_noise(latent, 1)
        levels = schedules.sigmas_of(sampling.sampling_of(model), "trailing", steps)
        sigmas = torch.tensor(levels, dtype=torch.float32)

        # as the server runs its nodes, and with the progress bar's text off, which is a terminal's
        @torch.inference_mode()
        def run(sampler):
            return comfy.sample.sample_custom(
                model, noise, 1.0, sampler, sigmas, positive, negative, latent,
                disable_pbar=True, seed=1,
            )  # fmt: skip

        return run

    return sampler_of, runner


def alternate(run, ours, core, repetitions):
    """Pairs of times (ours, core); who goes first changes from pair to pair."""
    for _ in range(WARM_UP):
        run(ours), run(core)
    pairs = []
    gc.collect()
    gc.disable()
    for i in range(repetitions):
        if i % 2:
            theirs, mine = timed(run, core), timed(run, ours)
        else:
            mine, theirs = timed(run, ours), timed(run, core)
        pairs.append((mine, theirs))
    gc.enable()
    return pairs


def timed(run, sampler):
    wall, cpu = time.perf_counter(), time.process_time()
    run(sampler)
    return Times(time.perf_counter() - wall, time.process_time() - cpu)


def spread(ratios):
    """Median, and in brackets the middle half."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
