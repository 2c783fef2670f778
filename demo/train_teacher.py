"""Train the demo teacher: text encoder and UNet, eps prediction, SD's scaled-linear noise.

The text encoder learns by itself to sort a caption by things and is left alone from then on, as in
SD. Trained along, it lost "left" against "right" while the UNet had no use for them yet, and had
not found them again after 6,000 iterations.

The UNet's denoising loss is weighted by sigma, half way between the eps and the x0 loss. Every
noise level then counts about the same, and the high ones, which settle what stands where, are not
drowned out. A tenth of the captions is left empty for classifier-free guidance.
"""

import copy

import numpy as np
import torch
import torch.nn.functional as F

from ..distill.ema import follow
from ..distill.pace import pace, set_learning_rate
from .world import (
    BACKGROUNDS,
    COLOURS,
    RELATIONS,
    SHAPES,
    Scene,
    caption,
    random_scene,
    read_caption,
)

BATCH = 64
LEARNING_RATE = 6e-4
WARM_UP = 300  # iterations
EMPTY_CAPTIONS = 0.1  # share trained without a caption
EMA_DECAY = 0.9985
READING_BATCH = 256
READING_ITERATIONS = 300
READING_RATE = 1e-3
NOTHING = 0  # class of what is not there
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


def random_scenes(rng: np.random.Generator, count: int) -> list[Scene]:
    """Scenes to train on: three of ten with one thing, the rest with two."""
    return [random_scene(rng, 1 if rng.random() < 0.3 else 2) for _ in range(count)]


def train_reading(text_encoder, tokenize, seed: int, say) -> None:
    """Teach the text encoder to sort a caption by things, in place.

    The token after the end holds the first thing, the next one the second: colour, shape, size and
    the side it stands on. Cross attention then finds what belongs to a place in one token, where
    the words of it lie scattered over the caption.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    of_thing = [len(COLOURS) + 1, len(SHAPES) + 1, 3, len(RELATIONS) + 1]
    heads = torch.nn.ModuleList(
        torch.nn.Linear(text_encoder.config.hidden_size, width)
        for width in (len(BACKGROUNDS) + 1, sum(of_thing))
    )
    parameters = [*text_encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=READING_RATE, weight_decay=0.0)
    for i in range(READING_ITERATIONS):
        scenes = random_scenes(rng, READING_BATCH)
        captions = [caption(scene, rng) for scene in scenes]
        wanted = [read_caption(text) for text in captions]
        tokens = tokenize(captions)
        end = (tokens == text_encoder.config.eos_token_id).int().argmax(dim=1)
        with torch.autocast("cpu", torch.bfloat16):
            states = text_encoder(tokens).last_hidden_state.float()
        rows = torch.arange(len(end))
        pairs = [(heads[0](states[rows, end]), _backgrounds(wanted))]
        for k in range(2):
            read = heads[1](states[rows, end + 1 + k]).split(of_thing, dim=1)
            pairs += zip(read, _things(wanted, k).unbind(dim=1), strict=True)
        loss = sum(F.cross_entropy(read, answer) for read, answer in pairs)
        set_learning_rate(optimizer, READING_RATE * pace(i, READING_ITERATIONS, warm_up=50))
        _step(loss, optimizer, parameters)
        if i % 50 == 0:
            right = min((read.argmax(1) == answer).float().mean() for read, answer in pairs)
            say(f"reading {i}/{READING_ITERATIONS} loss {loss.item():.3f} right {right:.3f}")


def _backgrounds(wanted):
    return torch.tensor([_place(BACKGROUNDS, w.background) for w in wanted])


def _things(wanted, k):
    """[B, 4] colour, shape, size and side of the k-th thing; 0 for what is not there or unsaid."""
    answers = []
    for caption_wants in wanted:
        if k >= len(caption_wants.things):
            answers.append([NOTHING] * 4)
            continue
        thing, relation = caption_wants.things[k], caption_wants.relation
        side = OPPOSITE[relation] if relation and k else relation
        answers.append(
            [
                _place(COLOURS, thing.colour),
                _place(SHAPES, thing.shape),
                _place(("small", "large"), thing.size),
                _place(RELATIONS, side),
            ]
        )
    return torch.tensor(answers)


def _place(names, name):
    return NOTHING if name is None else 1 + list(names).index(name)


def train_teacher(unet, encode, latents, scenes, alpha_bar, *, iterations, seed, say):
    """Train the UNet in place, and return the running average of its weights.

    Args:
        encode: captions -> [B, tokens, width] text states.
        latents: [N, 4, h, w] encoded pictures of the N scenes.
        alpha_bar: [1000] cumulative product of 1 - beta.
        iterations: optimizer steps of BATCH pictures.
        say: takes a line that tells how far it is.

    Returns:
        a UNet that holds the exponential moving average.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    average = copy.deepcopy(unet).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    for i in range(iterations):
        rows = rng.integers(len(scenes), size=BATCH)
        captions = ["" if rng.random() < EMPTY_CAPTIONS else caption(scenes[r], rng) for r in rows]
        loss = _denoising_loss(unet, encode(captions), latents[rows], alpha_bar)
        set_learning_rate(optimizer, LEARNING_RATE * pace(i, iterations, WARM_UP))
        _step(loss, optimizer, list(unet.parameters()))
        # at first the average must not cling to the random weights it began with
        follow(average, unet, min(EMA_DECAY, (1 + i) / (10 + i)))
        if i % 50 == 0:
            say(f"teacher {i}/{iterations} loss {loss.item():.4f}")
    return average


def _denoising_loss(unet, states, x0, alpha_bar):
    noise = torch.randn_like(x0)
    timestep = torch.randint(len(alpha_bar), (len(x0),))
    signal = alpha_bar[timestep].view(-1, 1, 1, 1)
    x = signal.sqrt() * x0 + (1 - signal).sqrt() * noise
    with torch.autocast("cpu", torch.bfloat16):
        eps = unet(x, timestep, states).sample
    sigma = ((1 - alpha_bar[timestep]) / alpha_bar[timestep]).sqrt()
    return (sigma * (eps.float() - noise).square().mean(dim=(1, 2, 3))).mean()


def _step(loss, optimizer, parameters):
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
