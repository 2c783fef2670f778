"""What an iteration of distilling takes, in time and memory: FewStep's beside diffusers' LCM-LoRA.

.venv/bin/python benchmarks/training.py [--turns 6] [--iterations 8] [--batch 12] [--rank 64]

The peer is the procedure of examples/consistency_distillation/train_lcm_distill_lora_sd_wds.py in
diffusers: LoRA layers by PEFT in a second UNet, two passes of the teacher, one of the target. Both
train the demo UNet from the same latents and states. Contenders take turns in processes of their
own; time is the median over all iterations but each process's first two, memory the median of what
a process's peak lies above itself with its networks loaded.
"""

import argparse
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
sys.path.insert(0, str(ROOT))

PEER = "diffusers' LCM-LoRA"
# of ours all but the first have the teacher's predictions in their data
OURS = {"FewStep lcm": "lcm", "FewStep pcm": "pcm", "FewStep segments": "segments"}
CONTENDERS = (PEER, *OURS)
GUIDANCE, PAIRS, WARM_UP = 4.0, 24, 2
# of the script: every layer that published LCM-LoRAs change
TARGETS = [
    *("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv"),
    "time_emb_proj",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--rank", type=int, default=64)
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
            command = [sys.executable, __file__, "--contender", name, *sys.argv[1:]]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            turns[name].append(json.loads(said.splitlines()[-1]))
            print(f"turn {turn + 1}, {name}: {turns[name][-1]}", file=sys.stderr, flush=True)
    print(table(turns))
    return 0


def table(turns):
    """One row for each contender; ratios are medians over turns, peer over contender."""
    lines = ["| contender | ms an iteration | ratio of time | MB above the networks | ratio |"]
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
    iterate = (diffusers_procedure if wanted.contender == PEER else ours)(wanted)
    # the peak so far is that of loading; what a training adds is what counts
    before = _resident()
    seconds = []
    for _ in range(WARM_UP + wanted.iterations):
        began = time.process_time()
        iterate()
        seconds.append(time.process_time() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": statistics.median(seconds[WARM_UP:]), "bytes": peak - before}


def _resident():
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def texts_and_latents(pipeline):
    """[PAIRS + 1, tokens, width] states, the last of the empty prompt; [PAIRS, 4, 16, 16]."""
    from fewstep.headless.compare import demo_captions

    with torch.no_grad():
        states = pipeline.encode([*demo_captions(PAIRS, seed=0), ""])
    return states, torch.randn(PAIRS, 4, 16, 16, generator=torch.Generator().manual_seed(0))


def ours(wanted):
    from fewstep.diffusion.prediction import EPS
    from fewstep.diffusion.sigmas import from_timesteps, sigma_table
    from fewstep.diffusion.timesteps import trailing
    from fewstep.distill.setting import Setting
    from fewstep.distill.training import Options, Training
    from fewstep.distill.trajectories import Request, make
    from fewstep.distill.ways import WAYS
    from fewstep.headless.network import DiffusersNetwork
    from fewstep.headless.pipeline import load_demo

    pipeline = load_demo()
    states, _ = texts_and_latents(pipeline)
    network = DiffusersNetwork(pipeline.unet, EPS, {"states": states}, table=sigma_table())
    sigmas = tuple(from_timesteps(trailing(4), sigma_table()))
    rows = tuple(range(PAIRS))
    scales = (GUIDANCE,) * PAIRS
    request = Request(network.fingerprint, "VE", sigmas, scales, (4, 16, 16), rows, rows)
    with tempfile.TemporaryDirectory() as folder:
        data = make(network, request, Path(folder))
        setting = Setting(network, data, wanted.rank, float(wanted.rank), seed=0)
        (stage,) = WAYS[OURS[wanted.contender]].stages(data, 2)
        method = stage.begin(setting, None)
    training = Training(method, Options(iterations=10_000, batch=wanted.batch, warm_up=1))
    return training.step


def diffusers_procedure(wanted):
    """The script's iteration, its numbers in float32 as --mixed_precision no has them."""
    from diffusers import DDPMScheduler
    from peft import LoraConfig, get_peft_model

    from fewstep.headless.pipeline import load_demo

    teacher = load_demo().unet
    pipeline = load_demo()
    states, latents = texts_and_latents(pipeline)
    config = LoraConfig(r=wanted.rank, lora_alpha=wanted.rank, target_modules=TARGETS)
    unet = get_peft_model(pipeline.unet.requires_grad_(False), config).train()
    scheduler = DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    alpha_bar = scheduler.alphas_cumprod
    learned = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=1e-4, weight_decay=0.0)
    grid = torch.arange(1, 51) * 20 - 1

    def parts(output, timesteps, x):
        bar = alpha_bar[timesteps].view(-1, 1, 1, 1)
        return (x - (1 - bar).sqrt() * output) / bar.sqrt(), output

    def consistency(output, timesteps, x):
        scaled = (10.0 * timesteps).view(-1, 1, 1, 1)
        skip, out = 0.25 / (scaled**2 + 0.25), scaled / (scaled**2 + 0.25).sqrt()
        return skip * x + out * parts(output, timesteps, x)[0]

    def iterate():
        pick = torch.randint(PAIRS, (wanted.batch,))
        index = torch.randint(50, (wanted.batch,))
        start = grid[index]
        end = (start - 20).clamp(min=0)
        x = scheduler.add_noise(latents[pick], torch.randn(wanted.batch, 4, 16, 16), start)
        made = consistency(unet(x, start, encoder_hidden_states=states[pick]).sample, start, x)
        with torch.no_grad():
            cond_x0, cond = parts(
                teacher(x, start, encoder_hidden_states=states[pick]).sample, start, x
            )
            empty = states[-1:].expand(wanted.batch, -1, -1)
            uncond_x0, uncond = parts(
                teacher(x, start, encoder_hidden_states=empty).sample, start, x
            )
            w = GUIDANCE - 1.0
            x0 = cond_x0 + w * (cond_x0 - uncond_x0)
            noise = cond + w * (cond - uncond)
            bar = alpha_bar[end].view(-1, 1, 1, 1)
            x_next = bar.sqrt() * x0 + (1 - bar).sqrt() * noise
            output = unet(x_next, end, encoder_hidden_states=states[pick]).sample
            wanted_x0 = consistency(output, end, x_next)
        loss = ((made - wanted_x0) ** 2 + 1e-6).sqrt().sub(1e-3).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return iterate


if __name__ == "__main__":
    sys.exit(main())
