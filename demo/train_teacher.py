"""Train the demo teacher: text encoder and UNet, eps prediction, SD's scaled-linear noise.

The text encoder first learns by itself what each thing in a caption is (colour, shape, size and the
side it stands on); after that both are trained together on the denoising loss with min-SNR weights
(Hang et al., arXiv:2303.09556) and a tenth of the captions left empty for classifier-free guidance.
"""

import copy

import numpy as np
import torch
import torch.nn.functional as F

from ..distill.ema import follow
from ..distill.pace import pace, set_learning_rate
from .world import BACKGROUNDS, COLOURS, RELATIONS, SHAPES, Scene, caption, random_scene

BATCH = 64
LEARNING_RATE = 6e-4
WARM_UP = 300  # iterations
EMPTY_CAPTIONS = 0.1  # share trained without a caption
SNR_CAP = 5.0
EMA_DECAY = 0.9985
READING_BATCH = 256
READING_ITERATIONS = 300
READING_RATE = 1e-3
NOTHING = 0  # class of what is not there


def random_scenes(rng: np.random.Generator, count: int) -> list[Scene]:
    """Scenes to train on: three of ten with one thing, the rest with two."""
    return [random_scene(rng, 1 if rng.random() < 0.3 else 2) for _ in range(count)]


def train_reading(text_encoder, tokenize, seed: int, say) -> None:
    """Teach the text encoder to tell from a caption's end what the caption demands, in place."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    sizes = [len(COLOURS) + 1, len(SHAPES) + 1, 3] * 2 + [len(RELATIONS) + 1, len(BACKGROUNDS) + 1]
    head = torch.nn.Linear(text_encoder.config.hidden_size, sum(sizes))
    parameters = [*text_encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=READING_RATE, weight_decay=0.0)
    for i in range(READING_ITERATIONS):
        scenes = random_scenes(rng, READING_BATCH)
        captions = [caption(scene, rng) for scene in scenes]
        answers = torch.tensor([_answers(s, c) for s, c in zip(scenes, captions, strict=True)])
        tokens = tokenize(captions)
        end = (tokens == text_encoder.config.eos_token_id).int().argmax(dim=1)
        with torch.autocast("cpu", torch.bfloat16):
            states = text_encoder(tokens).last_hidden_state
        logits = head(states[torch.arange(len(end)), end].float()).split(sizes, dim=1)
        loss = sum(F.cross_entropy(x, answers[:, k]) for k, x in enumerate(logits))
        set_learning_rate(optimizer, READING_RATE * pace(i, READING_ITERATIONS, warm_up=50))
        _step(loss, optimizer, parameters)
        if i % 100 == 0:
            right = [(x.argmax(1) == answers[:, k]).float().mean() for k, x in enumerate(logits)]
            say(f"reading {i}/{READING_ITERATIONS} loss {loss.item():.3f} right {min(right):.3f}")


def train_teacher(
    unet, text_encoder, tokenize, latents, scenes, alpha_bar, *, iterations, seed, say
):
    """Train UNet and text encoder together, in place, and return their running averages.

    Args:
        tokenize: captions -> [B, tokens] ids.
        latents: [N, 4, h, w] encoded pictures of the N scenes.
        alpha_bar: [1000] cumulative product of 1 - beta.
        iterations: optimizer steps of BATCH pictures.
        say: takes a line that tells how far it is.

    Returns:
        (unet, text_encoder) holding the exponential moving average of the weights.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    models = torch.nn.ModuleList([unet, text_encoder])
    average = copy.deepcopy(models).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(models.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    for i in range(iterations):
        rows = rng.integers(len(scenes), size=BATCH)
        captions = ["" if rng.random() < EMPTY_CAPTIONS else caption(scenes[r], rng) for r in rows]
        loss = _denoising_loss(unet, text_encoder, tokenize(captions), latents[rows], alpha_bar)
        set_learning_rate(optimizer, LEARNING_RATE * pace(i, iterations, WARM_UP))
        _step(loss, optimizer, list(models.parameters()))
        # at first the average must not cling to the random weights it began with
        follow(average, models, min(EMA_DECAY, (1 + i) / (10 + i)))
        if i % 50 == 0:
            say(f"teacher {i}/{iterations} loss {loss.item():.4f}")
    return average[0], average[1]


def _denoising_loss(unet, text_encoder, tokens, x0, alpha_bar):
    noise = torch.randn_like(x0)
    timestep = torch.randint(len(alpha_bar), (len(x0),))
    signal = alpha_bar[timestep].view(-1, 1, 1, 1)
    x = signal.sqrt() * x0 + (1 - signal).sqrt() * noise
    with torch.autocast("cpu", torch.bfloat16):
        condition = text_encoder(tokens).last_hidden_state
        eps = unet(x, timestep, condition).sample
    snr = alpha_bar[timestep] / (1 - alpha_bar[timestep])
    weight = snr.clamp(max=SNR_CAP) / snr
    return (weight * (eps.float() - noise).square().mean(dim=(1, 2, 3))).mean()


def _answers(scene, text):
    words = text.split(" on a ")[0].split()
    said = [0, 0]
    which = -1
    for word in words:
        which += word == "a"
        said[which] = {"small": 1, "large": 2}.get(word, said[which])
    answers = []
    for k in range(2):
        thing = scene.things[k] if k < len(scene.things) else None
        answers += (
            [1 + list(COLOURS).index(thing.colour), 1 + SHAPES.index(thing.shape), said[k]]
            if thing
            else [NOTHING] * 3
        )
    relation = 1 + list(RELATIONS).index(scene.relation) if scene.relation else NOTHING
    background = 1 + list(BACKGROUNDS).index(scene.background) if " on a " in text else NOTHING
    return [*answers, relation, background]


def _step(loss, optimizer, parameters):
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
