"""The tab of the sidebar: files are found, put to use, and told what they are."""

import pytest
from browser import frontend
from header_files import write_sparse

KEY = "down_blocks.2.attentions.0.transformer_blocks.9.attn2.to_k"
LORA = {f"unet.{KEY}.lora_A.weight": (4, 2048), f"unet.{KEY}.lora_B.weight": (1280, 4)}
BLOCK = "model.diffusion_model.input_blocks.7.1.transformer_blocks.9.attn2.to_k.weight"
CHECKPOINT = {BLOCK: (1280, 2048), "first_stage_model.decoder.bias": (1,)}
LIGHTNING = "sdxl_lightning_4step_lora.safetensors"
NASTY = "<img src=x onerror=alert(1)>.safetensors"
FILES = {
    f"loras/{LIGHTNING}": LORA,
    f"loras/{NASTY}": LORA,
    # a distilled base comes first in the alphabet, and is not the one to put a LoRA on
    "checkpoints/dreamshaperXL_lightning.safetensors": CHECKPOINT,
    "checkpoints/sd_xl_base_1.0.safetensors": CHECKPOINT,
}
# [type, output] -> [type, input] of every link, and what stands in the nodes
GRAPH = """() => {
    const { nodes, groups } = window.app.graph;
    const links = nodes.flatMap(to => (to.inputs ?? []).flatMap((input, slot) => {
        const from = to.getInputNode(slot);
        const link = from && to.getInputLink(slot);
        return from ? [`${from.type}.${link.origin_slot} ${to.type}.${input.name}`] : [];
    }));
    const values = nodes.flatMap(({ type, widgets }) =>
        (widgets ?? []).map(({ name, value }) => `${type}.${name}=${value}`));
    const titles = groups.map(({ title }) => title);
    return { links: links.sort(), values, groups: titles, count: nodes.length };
}"""
LINKS = sorted(
    [
        "CheckpointLoaderSimple.0 FewStepLoraLoader.model",
        "CheckpointLoaderSimple.1 CLIPTextEncode.clip",
        "CheckpointLoaderSimple.2 VAEDecode.vae",
        "CLIPTextEncode.0 FewStepSample.positive",
        "EmptyLatentImage.0 FewStepSample.latent_image",
        "FewStepLoraLoader.0 FewStepSample.model",
        "FewStepLoraLoader.1 FewStepSample.recipe",
        "FewStepSample.0 VAEDecode.samples",
        "VAEDecode.0 PreviewImage.images",
    ]
)


@pytest.fixture
def files(server):
    paths = [server.folder / "models" / name for name in FILES]
    for path, shapes in zip(paths, FILES.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_sparse(path, shapes)
    yield
    for path in paths:
        path.unlink()
    (server.folder / "user" / "default" / "fewstep" / "said.json").unlink(missing_ok=True)


def open_tab(page, server):
    server.client.post_json("/settings/Comfy.TutorialCompleted", True)
    frontend.open_frontend(page, server)
    page.get_by_role("button", name="FewStep: model files and what they need").click()
    page.get_by_role("status").get_by_text("4 files", exact=True).wait_for()


def row(page, name):
    return page.get_by_role("listitem").filter(has_text=name)


def test_files_are_found_put_to_use_and_told_what_they_are(page, server, files):
    dialogs = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_tab(page, server)
    assert "likely" in row(page, LIGHTNING).inner_text()
    assert "4 steps · cfg 1 · euler" in row(page, LIGHTNING).inner_text()
    assert "unknown" in row(page, NASTY).inner_text() and page.locator("img[src=x]").count() == 0

    search = page.get_by_role("searchbox", name="Search files")
    search.fill("LIGHTNING lora")
    assert page.locator(".fewstep-file:visible").count() == 1
    before = page.evaluate(GRAPH)
    page.get_by_role("button", name=f"Add {LIGHTNING} to the workflow").press("Enter")
    after = page.evaluate(GRAPH)
    assert sorted(set(after["links"]) - set(before["links"])) == LINKS
    assert f"FewStepLoraLoader.lora_name={LIGHTNING}" in after["values"]
    assert "CheckpointLoaderSimple.ckpt_name=sd_xl_base_1.0.safetensors" in after["values"]
    assert "EmptyLatentImage.width=1024" in after["values"]
    assert after["groups"] == [*before["groups"], "SDXL-Lightning 4 steps (LoRA)"]
    page.keyboard.press("Control+z")
    page.wait_for_function("count => app.graph.nodes.length === count", arg=before["count"])
    assert page.evaluate(GRAPH) == before
    assert search.input_value() == "LIGHTNING lora"

    search.fill("")
    row(page, NASTY).get_by_text(NASTY).click()
    row(page, NASTY).get_by_role("combobox").select_option("lcm-lora-sdxl")
    row(page, NASTY).get_by_role("button", name="Give it this recipe").click()
    row(page, NASTY).get_by_text("certain", exact=True).wait_for()
    open_tab(page, server)
    assert "LCM-LoRA SDXL" in row(page, NASTY).inner_text()
    row(page, NASTY).get_by_text(NASTY).click()
    row(page, NASTY).get_by_role("button", name="Take it back").click()
    row(page, NASTY).get_by_text("unknown", exact=True).wait_for()
    assert page.trouble == [] and dialogs == []
