"""A feature extractor for torchmetrics that extracts nothing."""

import torch


class AsTheyCome(torch.nn.Module):
    """A feature extractor for torchmetrics whose pictures are their own features."""

    def __init__(self, width):
        super().__init__()
        self.num_features = width

    def forward(self, pictures):
        return pictures.flatten(1)
