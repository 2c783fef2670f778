"""LoRA files: headers, key dialects, coverage."""
