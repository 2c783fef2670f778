"""What an iteration of distilling takes, in time and memory: FewStep's beside diffusers' LCM-LoRA.

.venv/bin/python benchmarks/training.py [--model demo|sd15|sdxl] [--turns 6] [--iterations 8]
    [--batch 12] [--rank 64] [--checkpointed]

The peer is training_peer.py. All train the same UNet from the same states; sd15 and sdxl have
random weights. Contenders take turns. Without a GPU each has processes of its own; time is CPU
time, memory what a process's peak lies above itself with its network loaded. On a GPU weights are
bfloat16, time is that of the clock, and memory all that torch held at its peak, network included.
Time is the median over all iterations but each turn's first two.
"""

import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

PEER = "diffusers' LCM-LoRA"
# of ours all but the first have the teacher's predictions in their data
OURS = {"FewStep lcm": "lcm", "FewStep pcm": "pcm", "FewStep segments": "segments"}
CONTENDERS = (PEER, *OURS)
GUIDANCE, PAIRS, WARM_UP = 4.0, 24, 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=("demo", "sd15", "sdxl"), default="demo")
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--checkpointed", action="store_true", help="compute activations twice")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--contender", choices=CONTENDERS, help="run one alone, for itself")
    wanted = parser.parse_args()
    if wanted.contender:
        torch.set_num_threads(wanted.threads)
        print(json.dumps(measured(wanted)))
        return 0
    turns = {name: [] for name in CONTENDERS}
    for turn in range(wanted.turns):
        first = turn % len(CONTENDERS)
        for name in CONTENDERS[first:] + CONTENDERS[:first]:
            turns[name].append(on_gpu(wanted, name) if has_gpu() else in_own_process(name))
            print(f"turn {turn + 1}, {name}: {turns[name][-1]}", file=sys.stderr, flush=True)
    print(table(turns))
    return 0


def has_gpu():
    return torch.cuda.is_available()


def in_own_process(name):
    command = [sys.executable, __file__, "--contender", name, *sys.argv[1:]]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(said.splitlines()[-1])


def on_gpu(wanted, name):
    wanted.contender = name
    found = measured(wanted)
    gc.collect()
    torch.cuda.empty_cache()
    return found


def table(turns):
    """One row for each contender; ratios are medians over turns, peer over contender."""
    memory = "MB at the peak" if has_gpu() else "MB above the network"
    lines = [f"| contender | ms an iteration | ratio of time | {memory} | ratio |"]
    lines.append("|---|---|---|---|---|")
    for name, mine in turns.items():
        pairs = list(zip(turns[PEER], mine, strict=True))
        faster = statistics.median(peer["seconds"] / one["seconds"] for peer, one in pairs)
        smaller = statistics.median(peer["bytes"] / one["bytes"] for peer, one in pairs)
        seconds, size = (
            statistics.median(one[key] for one in mine) for key in ("seconds", "bytes")
        )
        lines.append(
            f"| {name} | {1e3 * seconds:.0f} | {faster:.2f} | {size / 1e6:.0f} | {smaller:.2f} |"
        )
    return "\n".join(lines)


def measured(wanted):
    import run

    run.load_pack()
    from training_models import conditions_of, unet_of

    device, dtype = ("cuda", torch.bfloat16) if has_gpu() else ("cpu", torch.float32)
    parts = unet_of(wanted.model, device, dtype), conditions_of(wanted.model, PAIRS)
    iterate = (diffusers_procedure if wanted.contender == PEER else ours)(wanted, *parts)
    # the peak so far is that of loading; what a training adds is what counts
    before = 0 if has_gpu() else _resident()
    if has_gpu():
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(WARM_UP + wanted.iterations):
        began = _now()
        iterate()
        seconds.append(_now() - began)
    return {"seconds": statistics.median(seconds[WARM_UP:]), "bytes": _peak() - before}


def _now():
    if not has_gpu():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def _peak():
    if has_gpu():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _resident():
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def ours(wanted, unet, conditions):
    from training_models import SIZES

    from fewstep.diffusion.prediction import EPS
    from fewstep.diffusion.sigmas import from_timesteps, sigma_table
    from fewstep.diffusion.timesteps import trailing
    from fewstep.distill.setting import Setting
    from fewstep.distill.training import Options, Training
    from fewstep.distill.trajectories import Request, make
    from fewstep.distill.ways import WAYS
    from fewstep.headless.network import DiffusersNetwork

    options = {"table": sigma_table(), "is_checkpointed": wanted.checkpointed}
    network = DiffusersNetwork(unet, EPS, conditions, **options)
    sigmas = tuple(from_timesteps(trailing(4), sigma_table()))
    rows, size = tuple(range(PAIRS)), SIZES[wanted.model]
    scales = (GUIDANCE,) * PAIRS
    request = Request(network.fingerprint, "VE", sigmas, scales, (4, size, size), rows, rows)
    with tempfile.TemporaryDirectory() as folder:
        data = make(network, request, Path(folder))
        setting = Setting(network, data, wanted.rank, float(wanted.rank), seed=0)
        (stage,) = WAYS[OURS[wanted.contender]].stages(data, 2)
        method = stage.begin(setting, None)
    training = Training(method, Options(iterations=10_000, batch=wanted.batch, warm_up=1))
    return training.step


def diffusers_procedure(wanted, unet, conditions):
    from training_models import SIZES
    from training_peer import Procedure

    size, is_checkpointed = SIZES[wanted.model], wanted.checkpointed
    options = {"batch": wanted.batch, "rank": wanted.rank, "guidance": GUIDANCE}
    procedure = Procedure(unet, conditions, size, is_checkpointed=is_checkpointed, **options)
    return procedure.iterate


if __name__ == "__main__":
    sys.exit(main())
