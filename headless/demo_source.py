"""The demo model, or its flow-matching sibling, as a teacher."""

import torch
from diffusers import FluxTransformer2DModel, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from ..demo import weights
from ..diffusion.prediction import EPS, FLOW_VELOCITY
from ..diffusion.sigmas import sigma_table
from .config import DEMO_FLOW, Model
from .pipeline import load_part, tokenize
from .source import Source, Teacher
from .stamp import stamp_of

# texts encoded at a time
BATCH = 64


def demo_source(model: Model) -> Source:
    """The shipped model that [model] path names.

    Raises:
        FileNotFoundError: it is not all there.
    """
    is_flow = model.path == DEMO_FLOW
    weights.check_present(weights.FLOW if is_flow else "unet")
    stamp = stamp_of([weights.FOLDER / "text_encoder", weights.TOKENIZER])

    @torch.no_grad()
    def encode(texts, size, device, dtype):
        tokenizer = CLIPTokenizer.from_pretrained(weights.TOKENIZER)
        encoder = load_part(CLIPTextModel, "text_encoder").to(device)
        batches = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
        read = [encoder(tokenize(tokenizer, encoder, some).to(device)) for some in batches]
        found = {"states": torch.cat([one.last_hidden_state for one in read])}
        if is_flow:
            found["pooled"] = torch.cat([one.pooler_output for one in read])
        return {name: values.to("cpu", dtype) for name, values in found.items()}

    load = _flow_teacher if is_flow else _teacher
    return Source(f"{stamp} {model.path}", encode, lambda dtype: load(model, dtype))


def _teacher(model, dtype):
    return Teacher(
        model=load_part(UNet2DConditionModel, "unet", dtype),
        prediction=EPS,
        base=model.base or "fewstep-demo",
        title="the demo model's teacher",
        table=tuple(sigma_table()),
    )


def _flow_teacher(model, dtype):
    return Teacher(
        model=load_part(FluxTransformer2DModel, weights.FLOW, dtype),
        prediction=FLOW_VELOCITY,
        base=model.base or "fewstep-demo-flow",
        title="the demo model's flow teacher",
        shift=model.shift or weights.FLOW_SHIFT,
    )
