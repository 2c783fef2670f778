"""LoRA files: headers, key dialects, coverage, conversion, arithmetic."""
