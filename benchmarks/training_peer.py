"""The procedure of diffusers' scripts for LCM-LoRA, an iteration at a time.

As examples/consistency_distillation/train_lcm_distill_lora_sdxl.py has it: LoRA layers by PEFT in
the one UNet, which is the teacher with them off; the UNet's weights in half precision and the
LoRA's in float32 under autocast where a GPU is, all in float32 without.
"""

from contextlib import nullcontext

import torch
from diffusers import DDPMScheduler
from peft import LoraConfig, get_peft_model

# of the script: every layer that published LCM-LoRAs change
TARGETS = [
    *("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv"),
    "time_emb_proj",
]
SPACING = 20


class Procedure:
    """What the script keeps between iterations.

    Args:
        unet: without LoRA layers; it is given them.
        conditions: as of `training_models.conditions_of`.
        size: of a latent.
    """

    def __init__(self, unet, conditions, size, *, batch, rank, guidance, is_checkpointed):
        self.device, self.dtype = unet.device, unet.dtype
        self.batch, self.w = batch, guidance - 1.0
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=TARGETS)
        self.unet = get_peft_model(unet.requires_grad_(False), config).train()
        if is_checkpointed:
            unet.enable_gradient_checkpointing()
        self.learned = [p for p in self.unet.parameters() if p.requires_grad]
        for parameter in self.learned:
            parameter.data = parameter.data.float()
        self.optimizer = torch.optim.AdamW(self.learned, lr=1e-4, weight_decay=0.0)
        self.scheduler = DDPMScheduler(
            beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012
        )
        self.alpha_bar = self.scheduler.alphas_cumprod.to(self.device)
        self.grid = torch.arange(1, 1000 // SPACING + 1, device=self.device) * SPACING - 1
        self.conditions = {
            name: values.to(self.device, self.dtype) for name, values in conditions.items()
        }
        pairs = len(conditions["states"]) - 1
        noise = torch.randn(pairs, 4, size, size, generator=torch.Generator().manual_seed(0))
        self.latents = noise.to(self.device)

    def iterate(self):
        pick = torch.randint(len(self.latents), (self.batch,), device=self.device)
        start = self.grid[torch.randint(len(self.grid), (self.batch,), device=self.device)]
        end = (start - SPACING).clamp(min=0)
        x0 = self.latents[pick]
        x = self.scheduler.add_noise(x0, torch.randn_like(x0), start)
        made = self._consistency(self._asked(x, start, pick), start, x)
        with torch.no_grad():
            with self.unet.disable_adapter():
                x_next = self._solved(x, start, end, pick)
            wanted = self._consistency(self._asked(x_next, end, pick), end, x_next)
        loss = ((made.float() - wanted.float()) ** 2 + 1e-6).sqrt().sub(1e-3).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learned, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _asked(self, x, timesteps, pick):
        states, pooled = (self.conditions.get(name) for name in ("states", "pooled"))
        told = None
        if pooled is not None:
            told = {"text_embeds": pooled[pick], "time_ids": self.conditions["time_ids"][pick]}
        is_half = self.dtype is not torch.float32
        on = torch.autocast(self.device.type, self.dtype) if is_half else nullcontext()
        with on:
            asked = {"encoder_hidden_states": states[pick], "added_cond_kwargs": told}
            return self.unet(x.to(self.dtype), timesteps, **asked).sample

    def _parts(self, output, timesteps, x):
        bar = self.alpha_bar[timesteps].view(-1, 1, 1, 1)
        return (x - (1 - bar).sqrt() * output) / bar.sqrt(), output

    def _consistency(self, output, timesteps, x):
        scaled = (10.0 * timesteps).view(-1, 1, 1, 1)
        skip, out = 0.25 / (scaled**2 + 0.25), scaled / (scaled**2 + 0.25).sqrt()
        return skip * x + out * self._parts(output, timesteps, x)[0]

    def _solved(self, x, start, end, pick):
        """A DDIM step of the guided teacher."""
        cond_x0, cond = self._parts(self._asked(x, start, pick), start, x)
        empty = torch.full_like(pick, -1)
        uncond_x0, uncond = self._parts(self._asked(x, start, empty), start, x)
        x0 = cond_x0 + self.w * (cond_x0 - uncond_x0)
        noise = cond + self.w * (cond - uncond)
        bar = self.alpha_bar[end].view(-1, 1, 1, 1)
        return bar.sqrt() * x0 + (1 - bar).sqrt() * noise
