import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewstep.lora.dialects import (
    CARRIED,
    DIALECTS,
    WRITTEN,
    Key,
    dialect_of,
    parse_key,
    write_key,
)

ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
STEM = "down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
ENCODER = "text_model.encoder.layers.0.self_attn"
quick = settings(derandomize=True, deadline=None, max_examples=300)

READ = {
    f"lora_unet_{STEM}.lora_down.weight": ("kohya", "unet", STEM, "down"),
    f"lora_unet_{STEM}.alpha": ("kohya", "unet", STEM, "alpha"),
    "lora_unet_input_blocks_4_1_proj_in.lora_up.weight": (
        *("kohya", "unet", "input_blocks_4_1_proj_in", "up"),
    ),
    "lora_unet__blocks_0_cross_attn_k.lora_down.weight": (
        *("kohya", "unet", "blocks_0_cross_attn_k", "down"),
    ),
    "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_mid.weight": (
        *("kohya", "te", "text_model_encoder_layers_0_mlp_fc1", "mid"),
    ),
    "lora_te1_text_model_encoder_layers_0_mlp_fc1.dora_scale": (
        *("kohya", "te1", "text_model_encoder_layers_0_mlp_fc1", "dora_scale"),
    ),
    "lora_te2_text_projection.hada_w1_a": ("kohya", "te2", "text_projection", "hada_w1_a"),
    "lora_transformer_proj_out.lora_A.weight": ("kohya", "transformer", "proj_out", "down"),
    "lora_prior_unet_conv.lora_up.weight": ("kohya", "prior_unet", "conv", "up"),
    "lycoris_blocks_0_proj.lokr_w1": ("kohya", "", "blocks_0_proj", "lokr_w1"),
    f"unet.{ATTENTION}.processor.to_q_lora.up.weight": (
        *("old diffusers", "unet", f"{ATTENTION}.to_q", "up"),
    ),
    f"{ATTENTION}.processor.to_out_lora.down.weight": (
        *("old diffusers", "", f"{ATTENTION}.to_out.0", "down"),
    ),
    f"unet.{ATTENTION}.processor.to_out.lora_magnitude_vector.weight": (
        *("old diffusers", "unet", f"{ATTENTION}.to_out.0", "magnitude"),
    ),
    f"text_encoder.{ENCODER}.to_out_lora.up.weight": (
        *("old diffusers", "te", f"{ENCODER}.out_proj", "up"),
    ),
    f"text_encoder_2.{ENCODER}.q_proj.lora_linear_layer.down.weight": (
        *("diffusers", "te2", f"{ENCODER}.q_proj", "down"),
    ),
    f"unet.{ATTENTION}.to_q.lora_A.weight": ("diffusers", "unet", f"{ATTENTION}.to_q", "down"),
    f"unet.{ATTENTION}.to_q.lora.up.weight": ("diffusers", "unet", f"{ATTENTION}.to_q", "up"),
    "transformer.proj_out.lora_B.bias": ("diffusers", "transformer", "proj_out", "up_bias"),
    "conv_in.lora_magnitude_vector": ("diffusers", "", "conv_in", "magnitude"),
    "blocks.0.attn.q.lora_A.default.weight": ("diffusers", "", "blocks.0.attn.q", "down"),
    "transformer.proj_out.alpha": ("diffusers", "transformer", "proj_out", "alpha"),
    f"base_model.model.{ATTENTION}.to_q.lora_B.weight": ("peft", "", f"{ATTENTION}.to_q", "up"),
    "base_model.model.conv_in.lora_magnitude_vector.default.weight": (
        *("peft", "", "conv_in", "magnitude"),
    ),
    "unet.base_model.model.conv_in.lora_B.default.bias": ("peft", "unet", "conv_in", "up_bias"),
    "diffusion_model.input_blocks.4.1.proj_in.lora_up.weight": (
        *("comfyui", "unet", "input_blocks.4.1.proj_in", "up"),
    ),
    "diffusion_model.out.2.lora_A": ("comfyui", "unet", "out.2", "down"),
    "diffusion_model.out.2.set_weight": ("comfyui", "unet", "out.2", "set_weight"),
    "diffusion_model.out.2.diff_b": ("comfyui", "unet", "out.2", "diff_b"),
    "diffusion_model.img_in.reshape_weight": ("comfyui", "unet", "img_in", "reshape_weight"),
    "text_encoders.clip_l.transformer.text_projection.lora_up.weight": (
        *("comfyui", "text_encoders", "clip_l.transformer.text_projection", "up"),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_names_of_every_dialect_are_taken_apart(name):
    assert parse_key(name) == READ[name]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".alpha",
        "unet.alpha",
        "lora_unet_.alpha",
        "lora_A.weight",
        "down_blocks.0.resnets.0.conv1.weight",
        "model.diffusion_model.out.2.bias",
        "unet.conv_in.lora_A.weight.extra",
        "unet.conv_in.lora_A.weight\n",
        "unet.conv_in.lora_C.weight",
        "unet.conv_inlora_A.weight",
    ],
)
def test_other_names_are_none(name):
    assert parse_key(name) is None


PIECES = ["lora_", "unet", "te", "_lora", ".", "down", "up", "lora_A", ".processor.to_", "weight"]
texts = st.one_of(st.text(), st.lists(st.one_of(st.sampled_from(PIECES), st.text())).map("".join))


@quick
@given(texts)
def test_any_text_is_a_key_or_none(text):
    key = parse_key(text)
    assert key is None or (key.dialect in DIALECTS and key.module and key.part)


names = st.from_regex(r"[a-z][a-z0-9]{0,4}", fullmatch=True)
paths = st.lists(names, min_size=1, max_size=5).map(".".join)


@st.composite
def keys(draw):
    dialect = draw(st.sampled_from(DIALECTS))
    components = {
        "kohya": ["unet", "transformer", "te", "te1", "te2", "te3", "prior_unet"],
        "peft": ["", "te", "te2", "te3"],
        "comfyui": ["unet", "text_encoders"],
    }.get(dialect, ["unet", "transformer", "te", "te2", "te3"])
    component = draw(st.sampled_from(components))
    module = draw(paths)
    if dialect == "old diffusers":
        component = draw(st.sampled_from(["unet", "transformer"]))
        module += draw(st.sampled_from([".to_q", ".to_k", ".to_v", ".to_out.0"]))
    elif dialect == "kohya":
        module = module.replace(".", "_")
    return Key(dialect, component, module, draw(st.sampled_from(sorted(WRITTEN[dialect]))))


@quick
@given(keys())
def test_reading_a_written_name_gives_its_parts_back(key):
    assert parse_key(write_key(key)) == key


def test_names_are_written_as_published_files_spell_them():
    def written(*key):
        return write_key(Key(*key))

    to_out = f"{ATTENTION}.to_out.0"
    old = f"unet.{ATTENTION}.processor.to_out_lora.up.weight"
    assert written("kohya", "te2", "text_projection", "up") == (
        "lora_te2_text_projection.lora_up.weight"
    )
    assert written("diffusers", "te1", "fc", "down") == "text_encoder.fc.lora_A.weight"
    assert written("peft", "unet", to_out, "down") == f"base_model.model.{to_out}.lora_A.weight"
    assert written("old diffusers", "unet", to_out, "up") == old
    assert written("old diffusers", "unet", "conv_in", "up") == "unet.conv_in.lora.up.weight"
    assert (
        written("old diffusers", "te", "fc", "up") == "text_encoder.fc.lora_linear_layer.up.weight"
    )
    assert written("kohya", "", "conv_in", "alpha") == "lora_unet_conv_in.alpha"
    name = written("old diffusers", "te", "a.to_q", "up")
    assert name == "text_encoder.a.to_q.lora_linear_layer.up.weight"
    assert written("comfyui", "unet", "out.2", "diff") == "diffusion_model.out.2.diff"


def test_what_lycoris_adds_is_recognised_and_keeps_its_name():
    for part in CARRIED:
        name = f"lora_unet_conv_in.{part}"
        assert parse_key(name) == ("kohya", "unet", "conv_in", part)
        assert write_key(parse_key(name)) == name


def test_the_dialect_of_a_file_is_the_one_all_its_keys_have():
    for dialect in DIALECTS:
        assert dialect_of([n for n, key in READ.items() if key[0] == dialect]) == dialect
    assert dialect_of(READ) == "mixed"
    assert dialect_of(["conv_in.weight"]) == dialect_of([]) == "none"
    assert dialect_of(["conv_in.weight", "unet.conv_in.lora_A.weight"]) == "diffusers"


def test_an_old_file_may_spell_its_other_layers_as_a_new_one():
    old = f"unet.{ATTENTION}.processor.to_q_lora.up.weight"
    assert dialect_of([old, "unet.conv_in.lora.up.weight"]) == "old diffusers"


def test_a_part_the_dialect_has_no_name_for_is_refused():
    match = "peft dialect has no name for 'lokr_w1' of 'out'; convert to kohya or comfyui"
    with pytest.raises(ValueError, match=match):
        write_key(Key("peft", "", "out", "lokr_w1"))


def test_a_text_encoder_has_no_name_of_its_own_in_comfyui():
    with pytest.raises(ValueError, match="own name for text_encoder_2 of 'fc' depends.*to kohya"):
        write_key(Key("comfyui", "te2", "fc", "up"))


def test_an_unknown_dialect_is_refused():
    with pytest.raises(ValueError, match="dialect is 'a1111'; allowed is one of kohya, old"):
        write_key(Key("a1111", "unet", "fc", "up"))
