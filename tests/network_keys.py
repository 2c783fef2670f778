"""Names and shapes by which people tell networks apart, as they stand in the files themselves."""

# names of the authors or of ComfyUI, and of diffusers where the published file has those
NETWORKS = {
    "sd15": {
        "input_blocks.0.0.weight": (320, 4, 3, 3),
        "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    },
    "sd21": {
        "input_blocks.0.0.weight": (320, 4, 3, 3),
        "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024),
    },
    "sdxl": {
        "input_blocks.0.0.weight": (320, 4, 3, 3),
        "input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 2048),
        "input_blocks.7.1.transformer_blocks.9.attn2.to_k.weight": (1280, 2048),
    },
    "ssd-1b": {
        "input_blocks.0.0.weight": (320, 4, 3, 3),
        "input_blocks.7.1.transformer_blocks.3.attn2.to_k.weight": (1280, 2048),
    },
    "sd3": {"joint_blocks.0.context_block.attn.qkv.weight": (7296, 2432)},
    "flux": {
        "img_in.weight": (3072, 64),
        "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
        "single_blocks.0.linear1.weight": (21504, 3072),
    },
    "flux2": {
        "img_in.weight": (3072, 128),
        "double_stream_modulation_img.lin.weight": (18432, 3072),
        "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
    },
    "flux3": {"early_stream_modulations.image.linear.weight": (9216, 3072)},
    "qwen-image": {
        "txt_norm.weight": (3584,),
        "transformer_blocks.0.img_mlp.net.0.proj.weight": (12288, 3072),
    },
    "qwen-image-2.1": {"img_in.weight": (4096, 64), "txt_in.text_norm.weight": (4096,)},
    "z-image": {
        "cap_embedder.1.weight": (3840, 2560),
        "layers.0.attention.qkv.weight": (11520, 3840),
        "noise_refiner.0.attention.k_norm.weight": (128,),
    },
    "wan": {"head.modulation": (1, 2, 5120), "blocks.0.self_attn.q.weight": (5120, 5120)},
    "ltx2": {
        "audio_adaln_single.linear.weight": (12288, 2048),
        "transformer_blocks.0.attn1.to_q.weight": (4096, 4096),
    },
    "hunyuan-image": {"img_in.proj.weight": (3584, 64, 1, 1)},
    "hunyuan-video": {
        "img_in.proj.weight": (2048, 65, 1, 1, 1),
        "txt_in.individual_token_refiner.blocks.0.norm1.weight": (2048,),
    },
    "hidream-i1": {"caption_projection.0.linear.weight": (2560, 4096)},
    "hidream-o1": {"t_embedder1.mlp.0.weight": (4096, 256)},
    "ernie-image": {
        "x_embedder.proj.weight": (3072, 128, 1, 1),
        "layers.0.adaLN_sa_ln.weight": (3072,),
    },
    "krea2": {"txtfusion.projector.weight": (1, 12)},
    "lens": {"transformer_blocks.0.img_mlp.w1.weight": (4096, 1536)},
    "mage-flow": {"txt_norm.weight": (2560,)},
    "boogu-image": {
        "double_stream_layers.0.img_instruct_attn.processor.img_to_q.weight": (3360, 3360)
    },
    "fibo2": {
        "perceiver.latent_queries": (512, 3584),
        "layers.0.attention.to_q.weight": (3584, 3584),
    },
    "anima": {
        "blocks.0.self_attn.q_proj.weight": (2048, 2048),
        "llm_adapter.blocks.0.cross_attn.q_proj.weight": (1024, 1024),
    },
    "minimax-h3": {
        "token_refiner.refiner_blocks.0.norm1.weight": (5376,),
        "transformer_blocks.0.attn.to_q.weight": (7168, 5376),
    },
    "ace-step": {"time_embed_r.time_proj.weight": (12288, 2048)},
    "stable-audio-3": {"prompt_padding_embedding": (768,)},
    "sana": {"transformer_blocks.0.ff.conv_inverted.weight": (11200, 2240, 1, 1)},
    "prx": {"blocks.0.attention.img_qkv_proj.weight": (5376, 1792)},
    "pid": {"lq_proj.latent_proj.0.weight": (512, 16, 3, 3)},
    "dreamlite": {"mid_block.resnets.0.conv1.depthwise.weight": (1280, 1, 3, 3)},
    "seedvr2": {"blocks.31.mlp.all.proj_in_gate.weight": (6912, 2560)},
}
# weights of an input that only the distilled network has, and of one that only its base has
DISTILLED_INPUTS = {
    "sd15": {"time_embed.cond_proj.weight": (320, 256)},
    "sdxl": {"time_embed.cond_proj.weight": (320, 256)},
    "ssd-1b": {"time_embed.cond_proj.weight": (320, 256)},
    "hunyuan-image": {"time_r_in.in_layer.weight": (3584, 256)},
}
BASE_INPUTS = {"flux": {"guidance_in.in_layer.weight": (3072, 256)}}
# one layer that a LoRA changes: module, width in, width out
LORAS = {
    "sd15": ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 768, 320),
    "sd21": ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 1024, 320),
    "sdxl": ("lora_unet_down_blocks_2_attentions_0_transformer_blocks_9_attn1_to_q", 1280, 1280),
    "ssd-1b": ("lora_unet_down_blocks_2_attentions_0_transformer_blocks_3_attn2_to_k", 2048, 1280),
    "sd3": ("lora_unet_joint_blocks_0_x_block_attn_qkv", 2432, 7296),
    "flux": ("lora_unet_double_blocks_0_img_mlp_0", 3072, 12288),
    "flux2": ("lora_unet_single_blocks_0_linear1", 6144, 55296),
    "qwen-image": ("transformer.transformer_blocks.0.img_mlp.net.0.proj", 3072, 12288),
    "z-image": ("diffusion_model.layers.0.attention.to_q", 3840, 3840),
    "wan": ("diffusion_model.blocks.0.self_attn.q", 5120, 5120),
    "ltx2": ("diffusion_model.transformer_blocks.0.audio_attn1.to_q", 2048, 2048),
    "anima": ("diffusion_model.blocks.0.self_attn.q_proj", 2048, 2048),
    "boogu-image": ("diffusion_model.double_stream_layers.0.img_self_attn.to_q", 3360, 3360),
    "fibo2": ("diffusion_model.layers.0.attention.to_q", 3584, 3584),
    "minimax-h3": ("diffusion_model.transformer_blocks.0.attn.to_q", 5376, 7168),
    # a plain language model's name, which tells no architecture
    "hidream-o1": ("diffusion_model.language_model.layers.0.self_attn.q_proj", 4096, 4096),
}


def lora_shapes(base, rank=4):
    module, width_in, width_out = LORAS[base]
    down, up = ("lora_down", "lora_up") if module.startswith("lora_unet") else ("lora_A", "lora_B")
    return {f"{module}.{down}.weight": (rank, width_in), f"{module}.{up}.weight": (width_out, rank)}


def file_shapes(base, kind, inputs=None):
    """The state dict of a file, as shapes; inputs are weights beside the plain network's."""
    if kind == "lora":
        return lora_shapes(base)
    network = NETWORKS[base] | (inputs or {})
    if kind == "unet":
        return network
    inside = {f"model.diffusion_model.{key}": shape for key, shape in network.items()}
    return inside | {"first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3)}
