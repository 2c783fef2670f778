"""A negative prompt in networks whose prompt and picture look at each other in one attention.

Its tokens stand behind the prompt's: [prompt, negative prompt, picture]. All layers but attention
work on each token for itself. In attention the prompt and the picture see what they would see
alone, and so do the negative prompt and the picture; what the picture gets from both is guided.
"""

from functools import partial

import torch

from .negative_words import Words, origin_of


def check_joint(network, options: dict) -> None:
    """Refuse what mixes the prompt's tokens outside attention, or adds some of its own.

    Args:
        options: transformer_options.

    Raises:
        ValueError: the network has a layer of that kind, or another node adds tokens.
    """
    # SD3 variants of others
    if getattr(network, "context_processor", None) or getattr(network, "register_length", 0):
        raise ValueError(
            "model is an SD3 network with layers that mix the tokens of the prompt, and would mix "
            "both prompts; allowed is SD3 without them. Leave Negative (FewStep) out."
        )
    others = options.get("patches", {}).get("post_input", ())
    if others:
        raise ValueError(
            f"{origin_of(others[0])}, a part of another node, changes the tokens of the prompt; "
            "Negative (FewStep) needs them as they are. Take one of the two nodes out."
        )


def joint(context: torch.Tensor, words: Words, options: dict) -> tuple[torch.Tensor, dict]:
    """A pass of a network with joint attention that has both prompts.

    Args:
        context: [rows, tokens, channels] of the prompt.
        options: transformer_options of the pass; not changed.

    Returns:
        The context with the negative prompt behind it, and the options with our patches.
    """
    attention = _JointAttention(
        words, context.shape[1], options.get("optimized_attention_override")
    )
    patches = options.get("patches", {})
    return torch.cat([context, words.negative.to(context)], dim=1), {
        **options,
        "patches": {**patches, "post_input": [partial(_number, context.shape[1])]},
        "optimized_attention_override": attention,
    }


def _number(start, tokens):
    """Number the negative prompt's tokens as if they stood alone."""
    ids = tokens["txt_ids"].clone()
    ids[:, start:] += ids[:, :1] - ids[:, start : start + 1]
    return {**tokens, "txt_ids": ids}


class _JointAttention:
    """Attention of one pass; goes where ComfyUI asks for the attention function of each layer."""

    def __init__(self, words, prompt, others):
        self.words = words
        self.prompt = prompt  # tokens
        self.others = others  # the function of another node, or None
        self.tokens = None  # in joint attention

    def __call__(self, function, q, k, v, heads, mask=None, *positional, **named):
        attend = partial(self.others, function) if self.others else function
        axis = 2 if named.get("skip_reshape") else 1
        # SD3.5 medium has layers in which the picture looks at itself; the first one is not of them
        self.tokens = self.tokens or q.shape[axis]
        if q.shape[axis] < self.tokens:
            return attend(q, k, v, heads, mask, *positional, **named)
        if mask is not None:
            raise ValueError(refused_mask())
        start, end = self.prompt, self.prompt + self.words.negative.shape[1]

        def without(first, last):
            seen = [_cut(part, axis, first, last) for part in (q, k, v)]
            return attend(*seen, heads, None, *positional, **named)

        # of [prompt, picture] and [negative prompt, picture]
        positive, negative = without(start, end), without(0, start)
        if named.get("skip_output_reshape"):
            positive, negative = (_merged(part) for part in (positive, negative))
        guided = self.words.guided(positive[:, start:], negative[:, end - start :])
        mixed = torch.cat([positive[:, :start], negative[:, : end - start], guided], dim=1)
        return _split(mixed, heads) if named.get("skip_output_reshape") else mixed


def _cut(x, axis, first, last):
    """x without its tokens first to last - 1."""
    before, after = x.narrow(axis, 0, first), x.narrow(axis, last, x.shape[axis] - last)
    return torch.cat([before, after], dim=axis) if first else after


def _merged(x):
    return x.transpose(1, 2).flatten(2)


def _split(x, heads):
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def refused_mask() -> str:
    """Why a prompt whose attention is masked is refused."""
    return (
        "a prompt carries an attention mask, as StyleModelApply and padded prompts do; Negative "
        "(FewStep) allows prompts without one. Take that node out, or this one."
    )
