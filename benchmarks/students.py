"""How good the demo model's students are, beside the teacher they learned from.

.venv/bin/python benchmarks/students.py [--pictures 1000] [--threads 1] [--only steps|flow|guidance]

Captions, noise and judge are those of `run.py demo`. A teacher takes as many steps as in its
students' data, so that its pictures are what they are to make. Three tables: students of the UNet,
those of the flow teacher, and baked guidance at each cfg beside the UNet's own.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

BATCH = 32
HEADER = "| | passes | right | Frechet | error | variety of seeds |\n|---|---|---|---|---|---|"
GUIDANCE_HEADER = (
    "| | cfg | teacher right | student right | error | of no guidance | their roots' ratio |\n"
    "|---|---|---|---|---|---|---|"
)
TOLD = (1.5, 3.0, 5.0, 7.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=("steps", "flow", "guidance"))
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    import run

    run.load_pack()
    from fewstep.demo.weights import FLOW_SHIFT
    from fewstep.headless.compare import demo_captions
    from fewstep.headless.flow_pipeline import load_flow_demo
    from fewstep.headless.pipeline import load_demo

    captions = demo_captions(wanted.pictures, seed=0)
    with torch.inference_mode():
        if wanted.only in (None, "steps"):
            compare_steps(load_demo(), None, captions)
        if wanted.only in (None, "flow"):
            compare_steps(load_flow_demo(), FLOW_SHIFT, captions)
        if wanted.only in (None, "guidance"):
            compare_guidance(load_demo(), captions)
    return 0


def compare_steps(teacher, shift, captions):
    """A teacher and its students; shift is None for the UNet's."""
    from fewstep.demo.students import TEACHER_STEPS
    from fewstep.demo.weights import GUIDANCE
    from fewstep.headless.compare import TEACHER
    from fewstep.headless.results import Method
    from fewstep.headless.shipped_students import shipped_students

    best, few = (Method(TEACHER, steps, GUIDANCE, shift=shift) for steps in (TEACHER_STEPS, 4))
    # of the same captions from two noises
    of_teacher = [made(teacher, best, captions, seed) for seed in (0, 2)]
    reference = read(teacher, of_teacher[1], captions)[0]
    print(HEADER)
    rows = [(best, teacher, of_teacher), (few, teacher, None)]
    students = (one for one in shipped_students() if one.method.shift == shift)
    rows += [(student.method, student.load(), None) for student in students]
    for method, pipeline, latents in rows:
        latents = latents or [made(pipeline, method, captions, seed) for seed in (0, 2)]
        print(line(method, latents, of_teacher, reference, teacher, captions), flush=True)


def compare_guidance(teacher, captions):
    from fewstep.demo.students import TEACHER_STEPS
    from fewstep.demo.weights import GUIDANCE
    from fewstep.headless.compare import TEACHER
    from fewstep.headless.results import Method
    from fewstep.headless.shipped_students import shipped_students

    unguided = made(teacher, Method(TEACHER, TEACHER_STEPS, 1.0), captions, 0)
    students = [
        student
        for student in shipped_students()
        if student.recipe.family == "guidance" and student.method.shift is None
    ]
    print("\n" + GUIDANCE_HEADER)
    for cfg in sorted({GUIDANCE, *TOLD}):
        guided = made(teacher, Method(TEACHER, TEACHER_STEPS, cfg), captions, 0)
        right = share_right(teacher, guided, captions)
        for student in students:
            if (method := told(student.method, cfg, GUIDANCE)) is None:
                continue
            latents = made(student.load(), method, captions, 0)
            error, of_none = (paired_error(x, guided) for x in (latents, unguided))
            print(
                f"| {method.model.replace('_', ' ')} | {cfg:g} | {right} "
                f"| {share_right(teacher, latents, captions)} | {error:.4f} | {of_none:.4f} "
                f"| {(error / of_none) ** 0.5:.2f} |",
                flush=True,
            )


def told(method, cfg, baked):
    """How a student with guidance is sampled at a cfg; None for one that knows but another."""
    if method.guidance is None:
        return method if cfg == baked else None
    return method._replace(guidance=cfg)


def paired_error(latents, of_teacher):
    from fewstep.distill.meters import measure

    return measure(latents, of_teacher, range(len(latents))).paired_error


def share_right(teacher, latents, captions):
    """The judge's share of pictures that show their captions, in words."""
    from fewstep.demo.score import score
    from fewstep.demo.world import read_caption
    from fewstep.headless.results import accuracy

    right = read(teacher, latents, captions)[1]
    return accuracy(score(right, [read_caption(text) for text in captions])["all"])


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
    from fewstep.demo.features import feature_distance
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
        f"| {accuracy(all_right)} | {feature_distance(reference, seen):.2f} "
        f"| {meters.paired_error:.4f} | {meters.diversity:.3f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
