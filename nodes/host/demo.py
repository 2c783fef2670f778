"""Small models of the core's own classes, made from weights at hand."""

import functools

import comfy.clip_model
import comfy.latent_formats
import comfy.model_management
import comfy.model_patcher
import comfy.sd
import comfy.sd1_clip
import comfy.supported_models
import comfy.supported_models_base
import comfy.utils
import torch


def sd_model(shape: dict, weights: dict[str, torch.Tensor], latent_format, reload):
    """A MODEL of the SD 1.5 architecture, of any size, in float32.

    Args:
        shape: the UNet's description in the host's words.
        weights: its state dict, diffusers' names.
        latent_format: the host's latent format of its VAE.
        reload: () -> the same MODEL anew, for hosts that reload instead of copying.
    """
    model_config = comfy.supported_models.SD15(shape)
    model_config.unet_config |= shape  # SD15 has put its own 8 heads over the shape's
    model_config.latent_format = latent_format
    model_config.set_inference_dtype(torch.float32, None)
    names = comfy.utils.unet_to_diffusers(shape)
    model = model_config.get_model({}, "")
    model.diffusion_model.load_state_dict({names[k]: v.float() for k, v in weights.items()})
    patcher = comfy.model_patcher.ModelPatcher(
        model,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
    patcher.cached_patcher_init = (lambda disable_dynamic=True: reload(), ())
    return patcher


def clip_text_model(config: dict, weights: dict[str, torch.Tensor], tokenizer_folder: str):
    """A CLIP of SD 1.5's kind with a text model and vocabulary of any size.

    Args:
        config: the text model's config.json as transformers writes it.
        weights: its state dict, transformers' names.
        tokenizer_folder: vocab.json and merges.txt of transformers' CLIPTokenizer.
    """
    tokens = config["max_position_embeddings"]
    special = {"start": "bos_token_id", "end": "eos_token_id", "pad": "pad_token_id"}

    class TextModel(comfy.clip_model.CLIPTextModel):
        def __init__(self, config, dtype, device, operations):
            super().__init__(config, dtype, device, operations)
            size = (config["vocab_size"], config["hidden_size"])
            self.set_input_embeddings(operations.Embedding(*size, dtype=dtype, device=device))

    encoder = functools.partial(
        comfy.sd1_clip.SDClipModel,
        max_length=tokens,
        textmodel_json_config=config,
        model_class=TextModel,
        special_tokens={name: config[key] for name, key in special.items()},
        return_projected_pooled=False,
    )
    tokenizer = functools.partial(
        comfy.sd1_clip.SDTokenizer,
        tokenizer_path=tokenizer_folder,
        max_length=tokens,
        embedding_size=config["hidden_size"],
    )
    target = comfy.supported_models_base.ClipTarget(
        functools.partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=tokenizer),
        functools.partial(comfy.sd1_clip.SD1ClipModel, clip_model=encoder),
    )
    clip = comfy.sd.CLIP(target)
    clip.load_sd({**weights, "text_projection.weight": torch.eye(config["hidden_size"])})
    return clip


def taesd_vae(weights: dict[str, torch.Tensor]):
    """A VAE of TAESD's shape; weights is the state dict of diffusers' AutoencoderTiny."""
    sd = {"vae_scale": torch.tensor(1.0), "vae_shift": torch.tensor(0.0)}
    for key, value in weights.items():
        part, _, index, rest = key.split(".", 3)
        # the host's decoder begins with a clamp that diffusers keeps outside its layer list
        index = int(index) + (part == "decoder")
        sd[f"taesd_{part}.{index}.{rest}"] = value
    return comfy.sd.VAE(sd=sd)


def plain_latents(preview_factors: list[list[float]]):
    """A latent format without scaling; the factors turn latent channels into -1..1 RGB previews."""
    latents = comfy.latent_formats.LatentFormat()
    latents.latent_rgb_factors = preview_factors
    return latents
