"""A full LCM UNet is trained to be told its guidance."""

import math
from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.embeddings import TimestepEmbedding
from safetensors.torch import load_file
from torch.func import functional_call

from fewstep.diffusion.sigmas import sigma_table
from fewstep.guidance.embedded import guidance_embedding
from fewstep.headless.told_unet import with_guidance_input
from fewstep.headless.train_lcm_lora import Settings, consistency_loss, distil, train_lcm_lora
from fewstep.headless.train_lcm_unet import ToldChange, train_lcm_unet

ALPHA_BAR = (1 / (1 + torch.tensor(sigma_table()) ** 2)).float()
FEW = Settings(
    iterations=4,
    batch=4,
    rank=2,
    lora_alpha=2.0,
    guidance_w=(0.0, 9.0),
    learning_rate=0.03,
    warm_up=1,
    ema_decay=0.5,
)
COND_PROJ = "time_embedding.cond_proj.weight"


def new_unet():
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        # more than one channel each, or what the time embedding adds is normalised away
        norm_num_groups=4,
    )
    return unet.eval().requires_grad_(False)


def train(trainer=train_lcm_unet, unet=None, **changed):
    """What the trainer returns, the losses, and the averages."""
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(6, 4, 8, 8, generator=generator)
    states = torch.randn(6, 5, 16, generator=generator)
    losses, averages = [], []

    def on_iteration(i, loss, average):
        losses.append(loss)
        averages.append(average)

    trained = trainer(
        unet or new_unet(),
        latents,
        lambda rows: states[rows],
        torch.zeros(1, 5, 16),
        ALPHA_BAR,
        FEW._replace(**changed),
        on_iteration,
    )
    return trained, losses, averages


def inputs():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 4, 8, 8, generator=generator)
    return x, 500, torch.randn(2, 5, 16, generator=generator)


def called(network, guidance, weights=None):
    told = {"timestep_cond": guidance_embedding(guidance)}
    return functional_call(network, weights or {}, inputs(), told).sample


# --- before training ------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance", [1.0, 8.0])
def test_an_untrained_student_is_its_teacher_to_the_bit_whatever_it_is_told(guidance):
    unet = new_unet()
    student = with_guidance_input(unet)
    change = ToldChange(student, FEW, torch.Generator().manual_seed(0))
    assert torch.equal(called(student, guidance, change.weights()), unet(*inputs()).sample)


def distil_told(unet, *data, loss_of=consistency_loss):
    """The loop alone, as a trainer: without imitation before it."""
    student = with_guidance_input(unet)
    *data, settings, on_iteration = data
    begin = lambda generator: ToldChange(student, settings, generator)
    return distil(student, begin, *data, settings, on_iteration, loss_of)


def test_the_teacher_is_guided_by_the_w_that_is_drawn():
    # the first loss is of an unchanged student on the same batch, so the teacher alone decides it
    baked = {w: train(train_lcm_lora, guidance_w=w)[1][0] for w in (2.0, 3.0)}
    told = {w: train(distil_told, guidance_w=(w, w))[1][0] for w in (2.0, 3.0)}
    assert told == pytest.approx(baked, rel=1e-5)
    assert abs(baked[3.0] - baked[2.0]) > 1e-3 * baked[2.0]


def test_every_grid_holds_for_an_equal_share_and_gives_all_its_points():
    used, points = [], {}

    def loss_of(*networks_batch, original_steps):
        used.append(original_steps)
        points.setdefault(original_steps, set()).update(networks_batch[3].point.tolist())
        return consistency_loss(*networks_batch, original_steps=original_steps)

    train(
        lambda *arguments: distil_told(*arguments, loss_of=loss_of),
        iterations=6,
        batch=40,
        original_steps=(2, 3, 5),
    )
    assert used == [2, 2, 3, 3, 5, 5]
    assert points == {steps: set(range(steps)) for steps in (2, 3, 5)}


def test_the_target_is_told_what_the_student_is():
    off = []

    def loss_of(student, target, teacher, batch, alpha_bar, original_steps):
        inputs = batch.x0, torch.full((len(batch.x0), 1, 1, 1), 1.6)
        off.append((student(*inputs) - target(*inputs)).abs().max().item())
        return consistency_loss(student, target, teacher, batch, alpha_bar)

    # without a memory the target is the student, whose cond_proj is no longer zero by then
    train(lambda *arguments: distil_told(*arguments, loss_of=loss_of), ema_decay=0.0)
    assert off == [0.0] * 4


# --- both legs ------------------------------------------------------------------------------------


def test_training_begins_with_imitation_and_counts_on_through_both_legs():
    # an unchanged student is off by w (cond - uncond), so twice the w is four times the square
    losses = [train(guidance_w=(w, w))[1] for w in (3.0, 6.0)]
    assert losses[1][0] == pytest.approx(4 * losses[0][0], rel=1e-4)
    counted = []
    on_iteration = lambda i, loss, average: counted.append(i)
    train(lambda *arguments: train_lcm_unet(*arguments[:-1], on_iteration), iterations=7)
    assert counted == list(range(7))


def test_distillation_goes_on_with_what_imitation_learnt():
    averages = train(learning_rate=1e-3)[2]
    imitated, distilled = (
        torch.cat([down.flatten() for down in average.lora.down])
        for average in (averages[0], averages[-1])
    )
    # a change begun anew would be drawn anew
    assert averages[0] is not averages[-1]
    assert torch.cosine_similarity(imitated, distilled, dim=0) > 0.9


# --- what is learnt -------------------------------------------------------------------------------


class Shift(torch.nn.Module):
    """eps is half the input, moved by the text: guidance moves it further, by w times the text."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.time_embedding = TimestepEmbedding(8, 16)
        self.proj_out = torch.nn.Linear(16, 4)
        self.config = SimpleNamespace(time_cond_proj_dim=None)

    def register_to_config(self, **changed):
        self.config = SimpleNamespace(**changed)

    def forward(self, x, timestep, states, timestep_cond=None):
        told = self.time_embedding(torch.zeros(len(x), 8), timestep_cond)
        shift = self.proj_out(told) + states.mean(dim=1)
        return SimpleNamespace(sample=x / 2 + shift[:, :, None, None])


def test_a_student_that_is_told_w_moves_as_w_moves_its_teacher():
    text = torch.tensor([1.0, -0.5, 0.0, 0.5]).expand(1, 5, 4)
    losses = []
    student = train_lcm_unet(
        Shift(),
        torch.randn(8, 4, 2, 2, generator=torch.Generator().manual_seed(1)),
        lambda rows: text.expand(len(rows), 5, 4),
        torch.zeros(1, 5, 4),
        ALPHA_BAR,
        FEW._replace(iterations=300, batch=32, learning_rate=3e-3, warm_up=50, ema_decay=0.95),
        lambda i, loss, average: losses.append(loss),
    )
    # 90 iterations of imitation, then 210 of distillation
    for leg in (losses[:90], losses[90:]):
        assert sum(leg[-30:]) < 0.9 * sum(leg[:30])
    told = guidance_embedding(torch.tensor([1.0, 3.0, 8.0]))
    x = torch.zeros(3, 4, 2, 2)
    at = student(x, 500, text.expand(3, 5, 4), timestep_cond=told).sample[:, :, 0, 0]
    for moved in at[1:] - at[:-1]:
        assert torch.cosine_similarity(moved, text[0, 0], dim=0) > 0.95
    # w is 0, 2 and 7 there
    ratio = (at[2] - at[1]).norm() / (at[1] - at[0]).norm()
    assert ratio == pytest.approx(5 / 2, rel=0.2)


# --- the result -----------------------------------------------------------------------------------


def test_the_network_that_is_trained_for_stays_as_it_is():
    unet = new_unet()
    before = {k: v.clone() for k, v in unet.state_dict().items()}
    train(unet=unet)
    after = unet.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in after)
    assert unet.config.time_cond_proj_dim is None


@pytest.mark.parametrize("guidance", [1.0, 8.0])
def test_the_result_is_the_teacher_with_the_average_change_applied(guidance):
    student, _, averages = train()
    applied = called(with_guidance_input(new_unet()), guidance, averages[-1].weights())
    torch.testing.assert_close(called(student, guidance), applied)
    assert (applied - new_unet()(*inputs()).sample).abs().max() > 1e-3


def test_sinusoids_too_fast_to_learn_from_are_left_unused():
    turns_per_w = torch.tensor([1000 * 10000 ** (-i / 127) / (2 * math.pi) for i in range(128)])
    # 86 of 256 are left; the fastest of them turns once in 2.98 of w
    fast = turns_per_w.repeat(2) > 1 / 2.9
    weight = train()[0].time_embedding.cond_proj.weight
    assert torch.all(weight[:, fast] == 0)
    assert torch.all(weight[:, ~fast].abs().amax(dim=0) > 0)


def test_diffusers_loads_the_saved_student_and_tells_it_its_guidance(tmp_path):
    student = train()[0]
    student.save_pretrained(tmp_path)
    loaded = UNet2DConditionModel.from_pretrained(tmp_path)
    assert loaded.config.time_cond_proj_dim == 256
    kept, saved = student.state_dict(), load_file(tmp_path / "diffusion_pytorch_model.safetensors")
    assert saved.keys() == kept.keys() == loaded.state_dict().keys()
    assert all(torch.equal(saved[key], kept[key]) for key in kept)
    assert saved[COND_PROJ].shape == (16, 256)
    torch.testing.assert_close(called(loaded, 8.0), called(student, 8.0))
    assert (called(loaded, 8.0) - called(loaded, 1.0)).abs().max() > 1e-3


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "guidance_w",
    [3.0, (9.0, 0.0), (-1.0, 9.0), (0.0, float("inf")), (float("nan"), 1.0), (1.0,), [0.0, 9.0]],
)
def test_a_student_needs_a_range_of_guidance(guidance_w):
    with pytest.raises(ValueError, match=r"^guidance_w is .*; allowed is a pair of lowest and"):
        train(guidance_w=guidance_w)


def test_a_lora_cannot_be_told_its_guidance():
    with pytest.raises(ValueError, match=r"^guidance_w is \(0.0, 9.0\), a range; allowed is one"):
        train(train_lcm_lora)


def test_a_network_that_is_told_its_guidance_already_is_no_teacher():
    student = with_guidance_input(new_unet())
    with pytest.raises(ValueError, match="time_cond_proj_dim is 256; allowed is none"):
        train(unet=student)
