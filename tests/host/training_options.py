"""Inputs of Train Options for a training of a few seconds."""

OPTIONS = {
    "iterations": 4,
    "batch": 2,
    "accumulation": 1,
    "learning_rate": 1e-3,
    "rank": 4,
    "lora_alpha": 4.0,
    "layers": "",
    "warm_up": 1,
    "ema_decay": 0.5,
    "optimizer": "adamw",
    "checkpointing": False,
    "seed": 0,
    "checkpoint_every": 2,
    "validate_every": 0,
    "pictures": 1,
}
