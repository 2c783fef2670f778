"""Which figures there are of pairs, and beside what."""

import torch

from fewstep.evaluate.clip_score import clip_score
from fewstep.evaluate.figures import Described, fid, kid
from fewstep.evaluate.likeness import Likeness, figures, of_reference

PROMPTS = [0, 0, 2, 3]
GENERATOR = torch.Generator().manual_seed(0)
PSNR, SSIM = torch.tensor([10.0, 20.0, float("inf"), 30.0]), torch.tensor([0.5, 0.75, 1.0, 0.25])
CLIP, INCEPTION = (torch.randn(2, 4, width, generator=GENERATOR) for width in (5, 7))
WORDS = torch.randn(4, 5, generator=GENERATOR)


def values(found):
    return {figure.name: figure.estimate.value for figure in found}


def test_pairs_are_averaged_by_prompt_and_equal_ones_have_an_end():
    found = figures(Likeness(PROMPTS, PSNR, SSIM), seed=0)
    assert values(found) == {"PSNR (dB)": (15 + 100 + 30) / 3, "SSIM": (0.625 + 1.0 + 0.25) / 3}
    assert found[0].note.startswith("PSNR and SSIM mean something only where a student keeps")
    assert values(of_reference(Likeness(PROMPTS, PSNR, SSIM), seed=0)) == {"SSIM": 1.0}


def test_every_feature_adds_its_figures():
    of = Likeness(
        PROMPTS, PSNR, SSIM, SSIM / 2, tuple(CLIP), WORDS, tuple(INCEPTION), "Read in part."
    )
    found = values(figures(of, seed=0))
    seen = [Described(one, tuple(PROMPTS)) for one in INCEPTION]
    assert found["FID on Inception features"] == fid(*seen, seed=0).estimate.value
    assert found["KID x 1000 on Inception features"] == kid(*seen, seed=0).estimate.value
    assert found["KID x 1000"] != found["KID x 1000 on Inception features"]
    assert found["LPIPS"] == 0.3125
    by_prompt = lambda score: (score[:2].mean() + score[2] + score[3]) / 3
    theirs, ours = (by_prompt(clip_score(one, WORDS)).item() for one in CLIP)
    assert abs(found["CLIP score"] - ours) < 1e-9
    assert abs(found["CLIP score, less the reference's"] - (ours - theirs)) < 1e-9
    alone = values(of_reference(of, seed=0))
    assert alone["diversity"] == 1.0 and abs(alone["CLIP score"] - theirs) < 1e-9
    notes = {figure.name: figure.note for figure in figures(of, seed=0)}
    assert notes["CLIP score"] == "Read in part." and "PSNR, SSIM and LPIPS" in notes["PSNR (dB)"]


def test_a_thousand_pictures_have_the_kid_of_papers_beside_them():
    count = 1000
    ours, theirs = torch.randn(2, count, 3, generator=GENERATOR, dtype=torch.float64)
    of = Likeness(
        range(count), torch.ones(count), torch.ones(count), inception=(ours, theirs + 0.5)
    )
    notes = {figure.name: figure.note for figure in figures(of, seed=0)}
    # a subset of a thousand is all of them
    expected = 1000 * kid_by_definition(ours, theirs + 0.5)
    assert notes["KID x 1000 on Inception features"] == (
        f"As papers give it, KID x 1000 of 100 subsets of 1,000 pictures is {expected:.2f}, with a "
        "standard deviation of 0.00."
    )
    assert notes["FID on Inception features"].startswith("FID of 1000 pictures, fewer than")


def kid_by_definition(a, b):
    """The cubic kernel's mean over all pairs of two different pictures, by its definition."""
    kernel = lambda x, y: (x @ y.T / 3 + 1) ** 3
    within = sum(
        (kernel(x, x).sum() - kernel(x, x).diagonal().sum()) / (len(x) * (len(x) - 1))
        for x in (a, b)
    )
    return (within - 2 * kernel(a, b).mean()).item()
