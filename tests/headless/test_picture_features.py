"""What looks at pictures sees what the libraries' own models see, or is refused before a run."""

import numpy as np
import pytest
import torch
from oracles import inception as oracle
from tiny_eyes import alexnet_weights, save_clip
from transformers import AutoTokenizer, CLIPImageProcessor

from fewstep.evaluate.lpips import LEAST_SIDE
from fewstep.headless import picture_features
from fewstep.headless.evaluation_config import Features
from fewstep.headless.picture_features import eyes_of

PROMPTS = ["a red circle", "a blue square above a green ring", "a red circle", "a " * 40]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    return folder, save_clip(folder)


def pictures(count, side=40):
    return np.random.default_rng(0).integers(0, 256, (count, side, 56, 3), np.uint8)


def test_clip_sees_and_reads_as_transformers_does(clip):
    folder, model = clip
    eye = eyes_of(Features(clip=folder)).clip
    seen, (read, note) = eye.of_pictures(pictures(4)), eye.of_prompts(PROMPTS)
    pixels = CLIPImageProcessor.from_pretrained(folder)(list(pictures(4)), return_tensors="pt")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(PROMPTS, padding=True, truncation=True, max_length=16, return_tensors="pt")
    with torch.no_grad():
        both = model(**pixels, **tokens)
    expected = both.logits_per_image.diag() / model.logit_scale.exp()
    found = torch.cosine_similarity(seen, read)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert note == "The CLIP score of 1 prompts is of their first 16 tokens."


def test_inception_and_lpips_are_read_from_their_files(tmp_path):
    files = {"inception": oracle.weights(), "lpips_weights": alexnet_weights()}
    for name, tensors in files.items():
        torch.save(tensors, tmp_path / f"{name}.pth")
    paths = {name: tmp_path / f"{name}.pth" for name in files}
    eyes = eyes_of(Features(**paths, lpips="alex")).to(torch.device("cpu"))
    seen = eyes.inception.of_pictures(oracle.picture().movedim(1, -1).numpy())
    expected = torch.tensor(oracle.FEATURES)
    torch.testing.assert_close(seen[0, ::128], expected, rtol=1e-4, atol=1e-4)
    a, b = torch.rand(2, 3, LEAST_SIDE, 80, generator=torch.Generator().manual_seed(0))
    assert eyes.lpips.of_pair(a, b) > 0.01 and eyes.lpips.of_pair(a, a) == 0.0


def test_a_backbone_is_looked_for_in_torchs_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ValueError, match="alexnet-owt-7be5be79.pth, which is not in .*download = "):
        eyes_of(Features(lpips="alex"))
    fetched = []

    def fetch(url, **options):
        fetched.append(url)
        (tmp_path / "checkpoints").mkdir()
        torch.save(alexnet_weights(), tmp_path / "checkpoints" / url.rsplit("/", 1)[1])

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    assert eyes_of(Features(lpips="alex", is_download_allowed=True)).lpips is not None
    assert eyes_of(Features(lpips="alex")).lpips is not None and len(fetched) == 1


def test_without_the_package_of_its_heads_lpips_is_refused(monkeypatch):
    monkeypatch.setattr(picture_features, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs torchmetrics, which is not installed. Install it"):
        eyes_of(Features(lpips="vgg"))


@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        ("clip", None, "clip is .* which cannot be read: .* Give the folder of a CLIPModel"),
        ("inception", None, "inception is .* which is not there. Give torch-fidelity's pt_incep"),
        ("inception", b"text", "inception is .* which cannot be read: .* Give torch-fidelity's"),
        ("inception", {"a": torch.ones(1)}, "whose weights are of another network .'Conv2d_1a"),
        ("lpips_weights", None, "lpips_weights is .* which cannot be read"),
        ("lpips_weights", {"a": torch.ones(1)}, "whose weights are of another network .'feature"),
        (
            "lpips_weights",
            alexnet_weights() | {"features.3.weight": torch.ones(1, 1, 5, 5)},
            "whose weights are of another network .* Give torchvision's alexnet",
        ),
    ],
)
def test_files_of_something_else_are_refused(tmp_path, key, content, message):
    path = tmp_path / "file.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    given = {"lpips": "alex"} if key == "lpips_weights" else {}
    with pytest.raises(ValueError, match=rf"\[features\] .*{message}"):
        eyes_of(Features(**{key: path}, **given))
