"""File names that were collected without a look at the recipes are told rightly.

They are those of Hugging Face, CivitAI and ComfyUI's templates, without `.safetensors`; a few are
made up, of words that only resemble.
"""

import pytest

from fewstep.recipes.identify import judge
from fewstep.recipes.read import read_all
from fewstep.recipes.structure import Structure

ALL = list(read_all()[0].values())
# base, kind, input of its own where there is one, family, steps ("any": the name does not tell)
TOLD = """
sdxl lora lcm 4: lcm_lora_sdxl
sd15 lora lcm 4: lcm-lora-sdv1-5 LCM_LoRA_Weights_SD15 AnimateLCM_sd15_t2v_lora
sd15 unet w-embedding lcm 4: LCM_Dreamshaper_v7_4k
sd15 checkpoint lcm any: dreamshaper_8LCM
sdxl lora lightning 4: sdxl_lightning_4step_lora
sdxl unet lightning 2: sdxl_lightning_2step_unet
sdxl checkpoint lightning 8: sdxl_lightning_8step
sdxl checkpoint lightning 1: sdxl_lightning_1step_x0
sdxl unet lightning 1: sdxl_lightning_1step_unet_x0
sdxl checkpoint lightning any: dreamshaperXL_lightningDPMSDE juggernautXL_v9Rdphoto2Lightning
    realvisxlV40_v40LightningBakedvae RealVisXL_V5.0_Lightning_fp16
    Juggernaut_RunDiffusionPhoto2_Lightning_4Steps wildcardxXLLIGHTNING_wildcardxXL
    copaxTimelessxlSDXL1_v12Lightning Juggernaut-XL-Lightning_4S_V9_RDPhoto2
sdxl checkpoint turbo any: dreamshaperXL_v21TurboDPMSDE
    turbovisionxlSuperFastXLBasedOnNew_tvxlV431Bakedvae realvisxlV30Turbo_v30TurboBakedvae
    DreamShaperXL_Turbo_v2
sdxl checkpoint turbo 1: sd_xl_turbo_1.0_fp16 sd_xl_turbo_1.0 SDXL-Turbo-fp16
sd21 checkpoint turbo 1: sd_turbo
sd3 checkpoint turbo 4: sd3.5_large_turbo
sdxl lora hyper 8: Hyper-SDXL-8steps-CFG-lora
sdxl lora hyper 1: Hyper-SDXL-1step-lora
sdxl unet hyper 1: Hyper-SDXL-1step-Unet-Comfyui.fp16
sd15 lora hyper 8: Hyper-SD15-8steps-lora
sd15 lora hyper 12: Hyper-SD15-12steps-CFG-lora
flux lora hyper 8: Hyper-FLUX.1-dev-8steps-lora
sd3 lora hyper 8: Hyper-SD3-8steps-CFG-lora
sdxl checkpoint hyper any: Juggernaut_X_RunDiffusion_Hyper
sd15 checkpoint hyper any: realisticVisionV60B1_v51HyperVAE
sdxl lora tcd 4: TCD-SDXL-LoRA
sdxl lora dmd2 4: dmd2_sdxl_4step_lora_fp16 DMD2_sdxl_4step_lora
sdxl unet dmd2 4: dmd2_sdxl_4step_unet_fp16
sdxl lora pcm 4: PCM_SDXL_smallcfg_4step
sd15 lora pcm 2: pcm_sd15_smallcfg_2step_converted
sd15 lora pcm 16: pcm_sd15_normalcfg_16step_converted
sdxl lora pcm any: pcm_sdxl_lcmlike_lora_converted
flux unet no-guidance-embedding schnell 4: flux1-schnell flux1-schnell-fp8-e4m3fn
flux checkpoint no-guidance-embedding schnell 4: flux1-schnell-fp8 flux1SchnellFP8_v10
flux lora flux-turbo 8: FLUX.1-Turbo-Alpha
flux2 lora flux-turbo 8: Flux_2-Turbo-LoRA_comfyui Flux2TurboComfyv2
flux2 unet klein 4: flux-2-klein-4b-fp8 flux-2-klein-9b flux-2-klein-9b-kv-fp8 flux-2-klein-9b-fp8
    flux-2-klein-4b-nvfp4
flux2 unet klein 20: flux-2-klein-base-9b flux-2-klein-base-4b-fp8
z-image unet z-image 8: z_image_turbo_bf16 z-image-turbo-fp8-e4m3fn z_image_turbo_nvfp4
    z-image-turbo_fp8_scaled_e4m3fn_KJ zImageTurbo_turbo SwarmUI_Z-Image-Turbo-FP8Mix
z-image unet z-image 30: z_image_bf16
qwen-image lora qwen-lightning 8: Qwen-Image-Lightning-8steps-V1.1-bf16
    Qwen-Image-Edit-Lightning-8steps-V1.0 Qwen-Image-Edit-2509-Lightning-8steps-V1.0-fp32
qwen-image lora qwen-lightning 4: Qwen-Image-Lightning-4steps-V2.0
    Qwen-Image-Edit-2509-Lightning-4steps-V1.0-bf16 Qwen-Image-Edit-2511-Lightning-4steps-V1.0-bf16
    Qwen-Image-2512-Lightning-4steps-V1.0-fp32 Qwen-Image-Lightning-4steps-V1.0
    Qwen-Image-fp8-e4m3fn-Lightning-4steps-V1.0-bf16
qwen-image unet qwen-lightning 15: qwen_image_distill_full_fp8_e4m3fn
wan lora causvid any: Wan21_CausVid_14B_T2V_lora_rank32_v2
    Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32
    Wan21_CausVid_14B_T2V_lora_rank32_v1_5_no_first_block
wan lora wan-lightx2v 4: wan2.2_i2v_lightx2v_4steps_lora_v1_high_noise
    wan2.2_t2v_lightx2v_4steps_lora_v1.1_low_noise
    lightx2v_T2V_14B_cfg_step_distill_v2_lora_rank64_bf16
    lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16
    Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank32
    Wan2.2-Lightning_T2V-v1.1-A14B-4steps-lora_HIGH_fp16
    Wan21_I2V_14B_lightx2v_cfg_step_distill_lora_rank64
    lightx2v_T2V_14B_cfg_step_distill_v2_lora_rank256_bf16
    Wan2.2-Lightning_I2V-A14B-4steps-lora_LOW_fp16
    wan2.2_i2v_A14b_high_noise_lora_rank64_lightx2v_4step_1022
    wan2.2_t2v_A14b_low_noise_lora_rank64_lightx2v_4step_1217
ltx2 checkpoint ltx 8: ltx-2-19b-distilled-fp8 ltx-2-19b-distilled ltx-2.3-22b-distilled-1.1
ltx2 lora ltx 8: ltx-2-19b-distilled-lora-384
hunyuan-video unet hunyuan-video 8: hunyuanvideo1.5_720p_sr_distilled_fp16
    hunyuanvideo1.5_1080p_sr_distilled_fp8_scaled
hunyuan-image unet mean-flow hunyuan-image 8: hunyuanimage2.1_distilled_bf16
hidream-i1 unet hidream 16: hidream_i1_fast_fp8
hidream-i1 unet hidream 28: hidream_i1_dev_bf16
ernie-image unet ernie-image 8: ernie-image-turbo
krea2 unet krea2 8: krea2_turbo_fp8_scaled
lens unet lens 4: lens_turbo_bf16
anima lora anima 8: anima-turbo-lora-v0.2
ace-step unet ace-step 8: acestep_v1.5_turbo
flux2 unet flux-turbo 20: flux2_dev_fp8mixed
hidream-i1 unet hidream 50: hidream_i1_full_fp16
sdxl lora hyper 4: Hyper-SDXL-4steps-lora
sdxl lora hyper 2: Hyper-SDXL-2steps-lora
sd15 lora hyper 1: Hyper-SD15-1step-lora
flux lora hyper 16: Hyper-FLUX.1-dev-16steps-lora
sd3 lora hyper 4: Hyper-SD3-4steps-CFG-lora
qwen-image lora qwen-lightning 2: Wuli-Qwen-Image-2512-Turbo-LoRA-2steps-V1.0-bf16
qwen-image-2.1 unet qwen-2.1 8: qwen_image_2.1_turbo_bf16
sdxl unet w-embedding lcm 4: lcm_sdxl_unet
ssd-1b lora lcm 4: lcm-lora-ssd-1b
hidream-o1 checkpoint hidream 28: hidream_o1_image_dev_fp8_scaled
sdxl checkpoint lcm any: SDXL_LCM_merge_v2
sdxl lora lightning 8: sdxl_lightning_8step_lora_fp16
sdxl checkpoint dmd2 4: bigasp_dmd2_v1
"""
# base, kind, input of its own, of what is not distilled, or not by a method that has a recipe
NOT_TOLD = """
sdxl checkpoint: sd_xl_base_1.0 sd_xl_base_1.0_0.9vae ponyDiffusionV6XL_v6StartWithThisOne
    illustriousXL_v01 animagine-xl-4.0 noobaiXLNAIXL_vPred10Version SDXL-Flash turboprop_xl
    hyperdreamXL_v2 enlightningXL_v1 realvisxlV50_v50LightningBakedvae_dmd2
sd15 checkpoint: v1-5-pruned-emaonly-fp16 epicrealism_naturalSinRC1VAE hyperrealisticPortrait_v10
    falcmix_v2 my_model_tcd_scan hyperfusion_v9 calcmix_v1
sd3 checkpoint: sd3.5_large_fp8_scaled sd3.5_medium sd3.5m_turbo
flux checkpoint guidance-embedding: flux1-dev-fp8
flux unet guidance-embedding: flux1-dev-kontext_fp8_scaled fluxFusionV24StepsGGUFNF4_V2NF4
    FLUX.1-schnell-dev-merged-fp8-4step flux.1-lite-8B flux1-krea-dev_fp8_scaled
qwen-image unet: qwen_image_edit_2509_fp8_e4m3fn
    qwen_image_edit_2511_fp8_e4m3fn_scaled_lightning_comfyui_4steps_v1.0 distilled_spirits_bar_qwen
wan unet: wan2.1_t2v_14B_fp8_e4m3fn wan2.2_i2v_high_noise_14B_fp8_scaled
    wan2.2_i2v_A14b_high_noise_scaled_fp8_e4m3_lightx2v_4step_comfyui
ltx2 checkpoint: ltx-2-19b-dev-fp8 ltx-2.3-22b-dev
hunyuan-image unet: hunyuanimage2.1_bf16
hunyuan-video unet: hunyuan_video_t2v_720p_bf16 hunyuanvideo1.5_720p_i2v_cfg_distilled_fp8_scaled
    hunyuanvideo1.5_480p_i2v_step_distilled_bf16
sdxl lora: hyperdetailed_lora_xl hyper_realistic_skin_lora lightning_storm_style_lora
    porsche_911_turbo_lora detail_tweaker_xl_distilled_look pcm_audio_wave_style flash_sdxl_lora
    sd_xl_turbo_lora_v1 turbodiesel_truck_xl hyper3d_icon_xl dmd_art_style_sdxl dmd2_character_xl
    tcd_lab_character pcm_headset_xl lcm_logo_style lightning_4_elements_style
    lightning_step_dancer
flux lora: lightning_mcqueen_flux hyperspace_background_flux schnellzug_lora_flux
qwen-image lora: turbo_granny_qwen_lora
z-image lora: z_image_porsche_turbo_lora zimage_turbo_training_adapter_v2
    Z-Image-Fun-Lora-Distill-8-Steps-2603-ComfyUI z_image_turbo_distill_patch_lora
flux2 lora: klein_blue_style Flux2-Klein-9B-consistency-V2 flux-2-klein-4B-outpaint-lora
sd15 lora: LCMTurboMix_LCM_Sampler LCMTurboMix_Euler_A_fix
qwen-image checkpoint: Qwen-Rapid-AIO-v1
wan lora: FastWan_T2V_14B_480p_lora_rank_128_bf16 Wan21_AccVid_T2V_14B_lora_rank32_fp16
    Wan2.1_T2V_14B_FusionX_LoRA causvid_water_style lightx2v_logo
wan checkpoint: wan2.2-rapid-mega-aio-v10
sd3 unet: sd3.5_medium_turbo
sd3 lora: sd3.5m_turbo_lora
krea2 unet: krea2_raw_bf16
flux unet no-guidance-embedding: schnellzug_br103
ernie-image unet: ernie_turbo_cartoon
flux2 unet: kleinod_flux2_mix
"""
INPUTS = ("w-embedding", "guidance-embedding", "no-guidance-embedding", "mean-flow")


def each(table):
    """A line is what all names after its colon have in common; an indented one goes on."""
    rows = []
    for line in table.replace("\n    ", " ").strip().splitlines():
        common, names = line.split(":")
        base, kind, *more = common.split()
        features = {word.replace("-", " ") for word in more if word in INPUTS}
        network = Structure(base, kind, frozenset(features), ())
        expected = [word for word in more if word not in INPUTS]
        rows += [pytest.param(name, network, *expected, id=name) for name in names.split()]
    return rows


def judged(name, network):
    return judge(network, {}, f"{name}.safetensors", ALL)


@pytest.mark.parametrize(("name", "network", "family", "steps"), each(TOLD))
def test_a_distilled_model_is_told_by_its_real_name(name, network, family, steps):
    found = judged(name, network)
    assert found.recipe is not None, found.reasons
    assert (found.recipe.family, found.confidence) == (family, "likely")
    assert steps == "any" or int(steps) in (found.recipe.steps.default, *found.recipe.steps.trained)


@pytest.mark.parametrize(("name", "network"), each(NOT_TOLD))
def test_what_has_no_recipe_is_never_taken_for_one_with_confidence(name, network):
    found = judged(name, network)
    # a FLUX without guidance embedding may be a schnell whatever it is called, and is never sure
    may_be = "no guidance embedding" in network.features and found.confidence == "unsure"
    assert found.recipe is None or may_be, found.recipe.title


def test_two_hundred_names_were_tried():
    assert len(each(TOLD)) + len(each(NOT_TOLD)) >= 200
