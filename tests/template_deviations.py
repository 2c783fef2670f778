"""Where ComfyUI's templates sample a model otherwise than its recipe says, and why that may be."""

import json

REASONS = {
    "beside-training": "3.1 stands beside the 3.0 of training; levels are up to 2 % apart",
    "lora-is-off": "the LoRA is bypassed as saved, so the settings are those of the base",
    "six-steps": "6 steps with a LoRA trained for 4: slower, and the host's habit for video",
    "host-shift": "the host's default for Wan; LightX2V trained at 5",
    "other-solver": "another solver of the same levels, or noise between steps; a matter of taste",
    "second-pass": "a second pass over the upscaled latent, from 0.85 where the list has 0.909",
    "same-list": "ComfyUI's linear_quadratic at 8 steps is this very list",
    "twelve-steps": "12 steps of the base's scheduler for the first pass, beside a style LoRA",
    "weaker": "weaker, beside a reference, a control video or another LoRA",
    "stronger": "other networks of the Wan family than the LoRA was made for need more of it",
    "own-taste": "a choice of the template's maker",
}
# recipe, field, values in the template's runs: a reason or its short name; below it the templates
TABLE = """
anima-base sampler ["er_sde"]: of the preview, before the model was finished
    image_anima_preview
firered-image-edit-lightning-8step shift [3.1]: beside-training
    image_firered_image_edit1_1
flux3-klein-base cfg [1]: an edit without guidance; the recipe is that of text to image
    image_flux3_klein_image_edit
ltx-2-19b-distilled sampler ["euler", "gradient_estimation"]: other-solver
    video_ltx2_i2v_distilled
ltx-2-19b-distilled-lora levels ["LTXVScheduler"]: twelve-steps
    video_ltx2_i2v_lora
ltx-2-19b-distilled-lora sampler ["gradient_estimation"]: other-solver
    video_ltx2_canny_to_video video_ltx2_depth_to_video video_ltx2_i2v
ltx-2-19b-distilled-lora steps [12]: twelve-steps
    video_ltx2_i2v_lora
ltx-2.3-22b-distilled levels ["linear_quadratic"]: same-list
    template_ltx2_3_ic_lora_ingredients video_ltx2_3_ic_lora
ltx-2.3-22b-distilled sampler ["euler_ancestral"]: other-solver
    template_ltx2_3_ic_lora_ingredients template_ltx2_3_style_transition video_ltx2_3_flf2v
    video_ltx2_3_ic_lora
ltx-2.3-22b-distilled-lora levels [[0.85, 0.725, 0.4219, 0.0]]: second-pass
    template_image_speech_to_video video_ltx2_3_i2v video_ltx2_3_ia2v video_ltx2_3_id_lora
    video_ltx2_3_t2v
ltx-2.3-22b-distilled-lora sampler ["euler_ancestral_cfg_pp"]: other-solver
    template_image_speech_to_video
ltx-2.5-22b-distilled levels [[0.85, 0.725, 0.4219, 0.0]]: second-pass
    video_ltx2_5_i2v video_ltx2_5_t2v
minimax-h3-fl2v-turbo-8step steps [30]: one number for both: 30 stays when the LoRA is switched on
    image_minimax_h3_t2i
pid-4step levels ["simple"]: the host approximates the list by shift 1.5
    utility_pid_latent_upscale_dit
qwen-image-2512-lightning-4step shift [3.1]: beside-training
    image_qwen_Image_2512 template_qwen_Image_2512_360_lora
qwen-image-edit-2509-lightning-4step shift [3.1]: beside-training
    templates-portrait_light_migration
qwen-image-edit-2509-lightning-8step levels ["beta"]: own-taste
    templates-image_to_real
qwen-image-edit-2511-lightning-4step shift [3.1]: beside-training
    image_qwen_image_edit_2511 image_qwen_image_edit_2511_int8
    template_qwen_image_edit_2511_systms_action template_qwen_multiangle.app
    templates-1_click_multiple_character_angles-v1.0
qwen-image-lightning-4step cfg [2.5]: lora-is-off
    image_qwen_image_controlnet_patch image_qwen_image_instantx_inpainting_controlnet
qwen-image-lightning-4step shift [3.1]: beside-training
    image_qwen_Image_2512_controlnet image_qwen_image_controlnet_patch
    image_qwen_image_instantx_controlnet image_qwen_image_instantx_inpainting_controlnet
    image_qwen_image_union_control_lora
qwen-image-lightning-4step steps [20]: lora-is-off
    image_qwen_image_controlnet_patch image_qwen_image_instantx_inpainting_controlnet
qwen-image-lightning-8step shift [3.1]: beside-training
    image_qwen_image
wan2.1-causvid-14b shift [5]: own-taste
    video_wan_vace_inpainting
wan2.1-causvid-14b steps [3]: own-taste
    video_wan_vace_outpainting
wan2.1-causvid-14b steps [6]: own-taste
    video_wan_vace_inpainting
wan2.1-causvid-14b strength [0.3]: weaker
    video_wan_vace_14B_ref2v video_wan_vace_14B_v2v video_wan_vace_inpainting
wan2.1-causvid-14b strength [0.4]: weaker
    video_wan_vace_outpainting
wan2.1-i2v-lightx2v levels ["normal"]: own-taste
    video_wan2_1_infinitetalk
wan2.1-i2v-lightx2v sampler ["er_sde"]: other-solver
    video_wanmove_480p
wan2.1-i2v-lightx2v sampler ["lcm"]: other-solver
    video_wan_animate2
wan2.1-i2v-lightx2v sampler ["uni_pc"]: other-solver
    video_humo video_wan_vace_flf2v
wan2.1-i2v-lightx2v shift [8]: host-shift
    video_humo video_wan2_1_infinitetalk video_wan_dancer video_wan_vace_flf2v video_wanmove_480p
wan2.1-i2v-lightx2v steps [6]: six-steps
    video_humo video_wan21_scail2_character_replacement
    video_wan21_scail2_character_replacement_int8 video_wan2_1_infinitetalk video_wan_animate2
    video_wan_dancer video_wan_vace_flf2v video_wanmove_480p
wan2.1-i2v-lightx2v strength [0.8]: weaker
    video_wan21_scail2_character_replacement video_wan21_scail2_character_replacement_int8
    video_wan_vace_flf2v
wan2.1-i2v-lightx2v strength [1.03, 3]: stronger
    video_wan_dancer
wan2.1-t2v-lightx2v cfg [6]: lora-is-off
    video_wan2.1_alpha_t2v_14B
wan2.1-t2v-lightx2v sampler ["res_multistep"]: other-solver
    video_bernini_r_image_editing video_bernini_r_video_editing
wan2.1-t2v-lightx2v sampler ["uni_pc"]: other-solver
    video_wan2.1_alpha_t2v_14B
wan2.1-t2v-lightx2v shift [8.0]: host-shift
    video_bernini_r_image_editing video_bernini_r_video_editing
wan2.1-t2v-lightx2v steps [20]: lora-is-off
    video_wan2.1_alpha_t2v_14B
wan2.1-t2v-lightx2v steps [6]: six-steps
    video_bernini_r_image_editing video_bernini_r_video_editing
wan2.1-t2v-lightx2v strength [1.5, 3]: stronger
    video_bernini_r_image_editing video_bernini_r_video_editing
wan2.2-i2v-lightx2v-high shift [8.0]: host-shift
    video_wan2_2_14B_fun_camera video_wan2_2_14B_fun_control video_wan2_2_14B_fun_inpaint
wan2.2-i2v-lightx2v-low shift [8]: host-shift
    video_wan2_2_14B_fun_camera video_wan2_2_14B_fun_control video_wan2_2_14B_fun_inpaint
wan2.2-t2v-lightx2v-high sampler ["uni_pc"]: other-solver
    video_wan2_2_14B_s2v
wan2.2-t2v-lightx2v-high shift [8]: host-shift
    video_wan2_2_14B_s2v
z-image steps [25]: fewer steps, within what the recipe allows
    image_z_image image_z_image_int8
z-image-turbo levels ["beta"]: own-taste
    utility_z_image_turbo_2k_upscaler.app
z-image-turbo levels ["beta57"]: own-taste
    template_rob_realistic_2k_images_quick_variations
    templates_rob_realistic_2k_images_quick_variations.app
z-image-turbo sampler ["dpmpp_2m_sde"]: own-taste
    template_rob_realistic_2k_images_quick_variations
    templates_rob_realistic_2k_images_quick_variations.app utility_z_image_turbo_2k_upscaler.app
z-image-turbo steps [4]: an example of switches, in half the steps
    basic_switch_node
z-image-turbo steps [5]: own-taste
    template_rob_realistic_2k_images_quick_variations
    templates_rob_realistic_2k_images_quick_variations.app utility_z_image_turbo_2k_upscaler.app
"""
# (template, file): why no sampler uses it
UNREAD = {
    (
        "image_qwen_image_2512_with_2steps_lora",
        "qwen_image_2512_fp8_e4m3fn.safetensors",
    ): "the base is used under its LoRA alone",
    (
        "video_wan_vace_14B_ref2v",
        "Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors",
    ): "the small model lies unlinked beside the large one",
    (
        "video_wan_vace_14B_t2v",
        "Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors",
    ): "the small model lies unlinked beside the large one",
    (
        "video_wan_vace_14B_v2v",
        "Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors",
    ): "the small model lies unlinked beside the large one",
    (
        "video_wan_vace_outpainting",
        "Wan21_CausVid_bidirect2_T2V_1_3B_lora_rank32.safetensors",
    ): "the small model lies unlinked beside the large one",
}


def deviations():
    """(recipe, field, values): (reason, templates)."""
    key = None
    found = {}
    for line in TABLE.strip().splitlines():
        if line.startswith(" "):
            found[key][1].update(line.split())
            continue
        where, _, reason = line.partition("]: ")
        recipe, field, values = f"{where}]".split(" ", 2)
        values = (tuple(v) if isinstance(v, list) else v for v in json.loads(values))
        key = (recipe, field, frozenset(values))
        found[key] = (REASONS.get(reason, reason), set())
    return found
