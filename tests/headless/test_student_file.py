"""A student's file does what the student in memory does, and says what it needs."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_models import LATENT, conditions, tiny_flux
from tiny_unet import tiny_unet

from fewstep.diffusion.prediction import EPS, FLOW_VELOCITY
from fewstep.diffusion.sigmas import sigma_table
from fewstep.distill.lora import Lora
from fewstep.distill.network import denoiser
from fewstep.headless.families import family_of
from fewstep.headless.lora import merge
from fewstep.headless.network import DiffusersNetwork
from fewstep.headless.student_file import read_student, write_student
from fewstep.recipes.own import read_own
from fewstep.recipes.students import student_recipe

ROWS, SIGMA = torch.tensor([0, 1]), torch.tensor([0.9, 0.4])


def unet():
    return DiffusersNetwork(tiny_unet().eval(), EPS, conditions("states"), table=sigma_table())


def flux():
    return DiffusersNetwork(tiny_flux(), FLOW_VELOCITY, conditions("states", "pooled"))


def filled(network, lora_alpha=1.0):
    generator = torch.Generator().manual_seed(1)
    lora = Lora(network.hooks.layers, 2, lora_alpha, generator)
    for up in lora.up:
        up.data.normal_(generator=generator).mul_(0.1)
    for parameter in lora.parameters():
        parameter.data = parameter.data.half().float()
    return lora


def recipe(prediction="eps", **others):
    return student_recipe(
        "4 steps (mine)", "fewstep", "sd15", prediction, steps=4, counts=(4,), **others
    )


def estimate(network, *loras):
    x = torch.randn(2, *LATENT, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return denoiser(network, ROWS, *loras)(x, SIGMA)


@pytest.mark.parametrize(("make", "name"), [(unet, "eps"), (flux, "flow")])
def test_what_was_written_is_read_back_as_the_same_change(tmp_path, make, name):
    network = make()
    lora, path = filled(network), tmp_path / "new" / "mine.safetensors"
    write_student(path, lora, family_of(network.model), recipe(name), "my model")
    again = read_student(path, network)
    torch.testing.assert_close(estimate(network, again), estimate(network, lora))
    assert (estimate(network, lora) - estimate(network)).abs().max() > 1e-3
    assert not any(parameter.requires_grad for parameter in again.parameters())


def test_a_unets_file_has_kohyas_names_which_every_loader_reads(tmp_path):
    network = unet()
    lora, path = filled(network), tmp_path / "mine.safetensors"
    write_student(path, lora, family_of(network.model), recipe(), "my model")
    stem = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    assert {f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"} <= set(
        load_file(path)
    )
    merge(network.model, load_file(path))
    fresh = unet()
    torch.testing.assert_close(estimate(network), estimate(fresh, lora), rtol=1e-5, atol=1e-5)


def test_a_flux_file_means_the_same_to_diffusers(tmp_path):
    network = flux()
    lora, path = filled(network), tmp_path / "mine.safetensors"
    write_student(path, lora, family_of(network.model), recipe("flow", shift=3.0), "my model")
    expected = estimate(network, lora)
    network.hooks.close()
    loaded = tiny_flux()
    loaded.load_lora_adapter(load_file(path), prefix="transformer")
    found = estimate(
        DiffusersNetwork(loaded, FLOW_VELOCITY, conditions("states", "pooled"), layers="lora_A")
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_file_says_what_its_student_needs(tmp_path):
    network, path = flux(), tmp_path / "mine.safetensors"
    given = recipe("flow", shift=3.0)
    write_student(path, filled(network), family_of(network.model), given, "my model")
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    found = read_own(metadata)
    assert (found.steps, found.sampler, found.shift) == (given.steps, given.sampler, 3.0)
    assert "my model" in found.how_verified and metadata["ss_network_dim"] == "2"


def test_a_file_of_a_lower_rank_is_the_nearest_of_that_rank(tmp_path):
    network, path = unet(), tmp_path / "small.safetensors"
    lora = filled(network)
    write_student(path, lora, family_of(network.model), recipe(), "my model", rank=1)
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["ss_network_dim"] == "1"
    small = read_student(path, network)
    for layer, i in lora.paths.items():
        whole = lora.lora_alpha / lora.rank * lora.up[i].flatten(1) @ lora.down[i].flatten(1)
        u, singular, vh = torch.linalg.svd(whole.detach(), full_matrices=False)
        nearest = singular[0] * torch.outer(u[:, 0], vh[0])
        k = small.paths[layer]
        found = small.up[k].flatten(1) @ small.down[k].flatten(1)
        torch.testing.assert_close(found, nearest, rtol=0, atol=2e-3 * float(nearest.abs().max()))


def test_a_file_keeps_a_share_of_each_layer_with_as_low_a_rank_as_does_it(tmp_path):
    network, path = unet(), tmp_path / "small.safetensors"
    lora = filled(network)
    for i in lora.paths.values():
        # all of some layers' change is in the first of two ranks, of others in both
        lora.up[i].data[:, 1] *= i % 2
    said = write_student(path, lora, family_of(network.model), recipe(), "my model", energy=0.9999)
    assert "rank 2 keeps" in said
    small = read_student(path, network)
    ranks = {len(small.down[k]) for path, k in small.paths.items() if lora.paths[path] % 2 == 0}
    assert ranks == {1} and max(map(len, small.down)) == 2
    both = {"rank": 1, "energy": 0.9999, "overwrite": True}
    said = write_student(path, lora, family_of(network.model), recipe(), "my model", **both)
    # of each of the two
    assert said.count("; ") == 1 and said.count("rank") >= 2, said
    assert {len(down) for down in read_student(path, network).down} == {1}


def test_a_file_that_is_there_is_replaced_only_where_that_is_wanted(tmp_path):
    network, path = unet(), tmp_path / "mine.safetensors"
    arguments = path, filled(network), family_of(network.model), recipe(), "my model"
    write_student(*arguments)
    with pytest.raises(ValueError, match="mine.safetensors is there already"):
        write_student(*arguments)
    write_student(*arguments, overwrite=True)


def test_what_is_no_lora_of_this_network_is_refused(tmp_path):
    network, path = unet(), tmp_path / "other.safetensors"
    path.write_bytes(b"no file of tensors")
    with pytest.raises(ValueError, match=r"\[method\] base_lora .* cannot be read"):
        read_student(path, network)
    with pytest.raises(ValueError, match=r"\[method\] base_lora .* cannot be read"):
        read_student(tmp_path / "nothing.safetensors", network)
    stem = "lora_unet_middle_block_9"
    pair = {
        f"{stem}.lora_down.weight": torch.ones(1, 4),
        f"{stem}.lora_up.weight": torch.ones(4, 1),
    }
    save_file(pair, path)
    with pytest.raises(ValueError, match="'middle_block_9' of the file is none of the targets"):
        read_student(path, network)
