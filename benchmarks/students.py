"""How good the demo model's students are, beside the teacher they learned from.

.venv/bin/python benchmarks/students.py [--pictures 1000] [--threads 1]

Captions, noise and judge are those of `run.py demo`. The teacher takes as many steps as in the
students' data, so that its pictures are what they are to make.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

BATCH = 32
HEADER = "| | passes | right | Frechet | error | variety of seeds |\n|---|---|---|---|---|---|"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    import run

    run.load_pack()
    from fewstep.demo.students import TEACHER_STEPS
    from fewstep.demo.weights import GUIDANCE
    from fewstep.headless.compare import TEACHER, demo_captions
    from fewstep.headless.pipeline import load_demo
    from fewstep.headless.results import Method
    from fewstep.headless.shipped_students import shipped_students

    captions, teacher = demo_captions(wanted.pictures, seed=0), load_demo()
    best, few = (Method(TEACHER, steps, GUIDANCE) for steps in (TEACHER_STEPS, 4))
    unguided = Method("teacher without guidance", TEACHER_STEPS, 1.0)
    with torch.inference_mode():
        # of the same captions from two noises
        of_teacher = [made(teacher, best, captions, seed) for seed in (0, 2)]
        reference = read(teacher, of_teacher[1], captions)[0]
        print(HEADER)
        rows = [(best, teacher, of_teacher), (few, teacher, None), (unguided, teacher, None)]
        rows += [(student.method, student.load(), None) for student in shipped_students()]
        for method, pipeline, latents in rows:
            latents = latents or [made(pipeline, method, captions, seed) for seed in (0, 2)]
            print(line(method, latents, of_teacher, reference, teacher, captions), flush=True)
    return 0


def made(pipeline, method, captions, seed):
    """[captions, 4, 16, 16] latents, from noise as run.py demo draws it."""
    from fewstep.headless.compare import LATENT, sample
    from fewstep.samplers.noise import cpu_noise

    found = []
    for first in range(0, len(captions), BATCH):
        rows = range(first, min(first + BATCH, len(captions)))
        like = torch.empty(len(rows), *LATENT)
        noise, step_noise = cpu_noise(like, seed - 1, rows)(), cpu_noise(like, seed, rows)
        texts = [captions[row] for row in rows]
        denoise = pipeline.denoiser(texts, method.cfg_scale, method.guidance)
        found.append(sample(denoise, method, noise, step_noise))
    return torch.cat(found)


def read(pipeline, latents, captions):
    """The judge's features of the pictures, and whether each shows its caption."""
    from fewstep.demo.features import features
    from fewstep.demo.judge import read_picture, satisfies
    from fewstep.demo.world import read_caption

    found, right = [], []
    for first in range(0, len(captions), BATCH):
        texts = captions[first : first + BATCH]
        for text, picture in zip(
            texts, pipeline.decode(latents[first : first + BATCH]), strict=True
        ):
            seen = read_picture(picture)
            found.append(features(picture, seen))
            right.append(satisfies(seen, read_caption(text)))
    return np.stack(found), right


def line(method, latents, of_teacher, reference, teacher, captions):
    from fewstep.demo.features import frechet_distance
    from fewstep.demo.score import score
    from fewstep.demo.world import read_caption
    from fewstep.distill.meters import measure
    from fewstep.headless.results import accuracy

    seen, right = read(teacher, latents[0], captions)
    all_right = score(right, [read_caption(text) for text in captions])["all"]
    # each caption twice, so that its two noises can be compared
    groups = [*range(len(captions))] * 2
    meters = measure(torch.cat(latents), torch.cat(of_teacher), groups)
    return (
        f"| {method.model.replace('_', ' ')}, {method.steps} steps | {method.passes} "
        f"| {accuracy(all_right)} | {frechet_distance(reference, seen):.2f} "
        f"| {meters.paired_error:.4f} | {meters.diversity:.3f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
