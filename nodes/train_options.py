"""The node with everything about a training that has a good default."""

from comfy_api.latest import io

from ..distill.optimizer import OPTIMIZERS
from ..distill.train_options import TrainOptions
from ..distill.training import Options
from .data_inputs import seed_input
from .prompts import FOLDER
from .schema import check_choice, schema
from .training_sockets import OptionsSocket

DEFAULTS = TrainOptions(Options(validate_every=250))


class FewStepTrainOptions(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return schema(
            folder=FOLDER,
            node_id="FewStepTrainOptions",
            display_name="Train Options (FewStep)",
            description="Sets what a training does besides its method: length, size, rate, layers.",
            search_aliases=["training", "options", "rank", "learning rate", "lora"],
            inputs=[*_length_inputs(), *_student_inputs(), *_running_inputs()],
            outputs=[
                OptionsSocket.Output(
                    display_name="options",
                    tooltip="Goes into Bake Guidance (FewStep) and Distill (FewStep).",
                )
            ],
        )

    @classmethod
    def execute(
        cls, rank, lora_alpha, layers, checkpointing, pictures, optimizer, **run
    ) -> io.NodeOutput:
        check_choice("optimizer", optimizer, OPTIMIZERS)
        options = Options(**run, optimizer=optimizer, clip=DEFAULTS.run.clip)
        return io.NodeOutput(
            TrainOptions(options, rank, lora_alpha, layers, checkpointing, pictures)
        )


def _length_inputs():
    run = DEFAULTS.run
    return [
        _int("iterations", run.iterations, 1, 1000000, "Steps of the optimizer."),
        _int("batch", run.batch, 1, 4096, "Samples of one iteration."),
        _int(
            "accumulation",
            run.accumulation,
            1,
            4096,
            "Parts a batch is computed in, one after the other: less memory, same result.",
        ),
        io.Float.Input(
            "learning_rate",
            default=run.learning_rate,
            min=1e-8,
            max=1.0,
            step=1e-6,
            round=False,
            tooltip="Warms up, then falls to 0 in half a cosine.",
        ),
    ]


def _student_inputs():
    run = DEFAULTS.run
    return [
        _int("rank", DEFAULTS.rank, 1, 1024, "Inner width of the LoRA."),
        io.Float.Input(
            "lora_alpha",
            default=DEFAULTS.lora_alpha,
            min=0.001,
            max=1024.0,
            tooltip="The LoRA is scaled by lora_alpha / rank; take the rank.",
        ),
        io.String.Input(
            "layers",
            default=DEFAULTS.layers,
            tooltip=(
                "Empty trains every linear layer and convolution of the blocks. Or parts "
                "of layer names, such as: attn, ff. ! before one leaves out."
            ),
        ),
        _int("warm_up", run.warm_up, 1, 100000, "Iterations until the full learning rate."),
        io.Float.Input(
            "ema_decay",
            default=run.ema_decay,
            min=0.0,
            max=0.9999,
            step=0.001,
            round=False,
            tooltip="Of the average that is saved; 0.95 follows within 20 iterations.",
        ),
    ]


def _running_inputs():
    run = DEFAULTS.run
    return [
        io.Combo.Input(
            "optimizer",
            options=list(OPTIMIZERS),
            default=run.optimizer,
            tooltip="adamw 8-bit needs bitsandbytes and takes less memory.",
        ),
        io.Boolean.Input(
            "checkpointing",
            default=DEFAULTS.is_checkpointed,
            tooltip="Computes blocks twice instead of keeping them: much less memory.",
        ),
        seed_input("Equal seeds give equal students on a CPU.", 2**63 - 1),
        _int(
            "checkpoint_every",
            run.checkpoint_every,
            0,
            1000000,
            "Iterations between two checkpoints; 0 makes one at the end alone.",
        ),
        _int(
            "validate_every",
            run.validate_every,
            0,
            1000000,
            "Iterations between two looks at pictures; 0 looks at the end alone.",
        ),
        _int(
            "pictures",
            DEFAULTS.pictures,
            1,
            64,
            "Made at each validation, of each size. They are not trained on where the data has "
            "four times as many or more of each.",
        ),
    ]


def _int(name, default, low, high, tooltip):
    return io.Int.Input(name, default=default, min=low, max=high, tooltip=tooltip)
