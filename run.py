"""FewStep on a bare machine: python run.py demo | test. Needs nothing but Python 3.10 or newer."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036
    sys.exit("FewStep needs Python 3.10 or newer; this is " + sys.version.split()[0] + ".")

import importlib
import importlib.util
from pathlib import Path

from bootstrap import environment, find_comfyui, open_comfyui, tiers
from bootstrap.process import pass_through

ROOT = Path(__file__).resolve().parent
HELP = """\
usage: python run.py [command]

  demo                  make pictures with the demo model that comes along: the 50-step teacher
                        beside its few-step students; writes out/demo.png and out/demo.html
  demo --comfyui        start the ComfyUI of this machine with this pack and open the demo
                        workflow in the browser (--no-browser: only print its address)
  test [core] [host] [browser] [-- pytest arguments]
                        run the tests; host needs a ComfyUI, browser also a Chromium
  identify FILE [--json] [--hash]
                        say which distilled model a safetensors file is and what it needs, from
                        its header alone, with --hash from its content too; installs nothing
  which-file            write README.md's tables of what each file needs anew, from the recipes
  bake CONFIG.toml      train a LoRA with which your model needs no guidance any more: one network
                        pass a step instead of two
  distill CONFIG.toml   train a LoRA with which it makes its pictures in few steps
  evaluate              measure the demo model's students beside their teacher: accuracy, distances
                        and diversity, each with the interval that chance leaves
  evaluate CONFIG.toml  measure the diffusers models that the file names, on a golden set
  pairs [FOLDER]        serve a page on which people compare the pictures of an evaluation, blind
  judge FOLDER NAME --address URL --model MODEL
                        let a model of your choice vote in such a comparison, apart from people
  ledger LEDGER.jsonl [--add RESULTS.json]
                        keep what each step to a fast model cost, and show how the losses add up
  bench                 time one picture of the demo model and of each student, by turns
  bench CONFIG.toml     time one picture of each model of such a file as evaluate takes
  train-demo FOLDER     train the demo model anew, from nothing; hours on a CPU
  train-demo-students FOLDER [NAME ...]
                        train the demo model's students from it, in this folder; hours on a CPU
  --help                this text

No command is the same as demo. The first run installs what it needs into .venv.
A ComfyUI is looked for in $COMFYUI_PATH, above the pack when it lies in custom_nodes, and in
~/comfy/ComfyUI. The tests also run in every ~/comfy/ComfyUI-* folder.
"""


def main(arguments):
    command, *rest = arguments or ["demo"]
    if command in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if command not in COMMANDS:
        print(f"Unknown command {command!r}. There are: {', '.join(COMMANDS)}.", file=sys.stderr)
        print("python run.py --help tells what each does.", file=sys.stderr)
        return 2
    try:
        return COMMANDS[command](rest)
    except (environment.InstallError, find_comfyui.Misnamed) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def demo(arguments):
    if "--comfyui" not in arguments:
        return in_environment("demo", arguments)
    unknown = set(arguments) - {"--comfyui", "--no-browser"}
    if unknown:
        print(
            f"demo --comfyui takes only --no-browser besides; got {' '.join(sorted(unknown))}.",
            file=sys.stderr,
        )
        return 2
    return open_comfyui.main(browser="--no-browser" not in arguments)


def test(arguments):
    split = arguments.index("--") if "--" in arguments else len(arguments)
    chosen, for_pytest = arguments[:split], arguments[split + 1 :]
    unknown = [tier for tier in chosen if tier not in tiers.TIERS]
    if unknown:
        print(
            f"Unknown tier {unknown[0]!r}. There are: {', '.join(tiers.TIERS)}. "
            "Arguments for pytest come after --.",
            file=sys.stderr,
        )
        return 2
    return tiers.main(chosen, for_pytest)


def train_demo(arguments):
    return in_environment("train-demo", arguments)


def train_demo_students(arguments):
    return in_environment("train-demo-students", arguments)


def bake(arguments):
    return in_environment("bake", arguments)


def distill(arguments):
    return in_environment("distill", arguments)


def evaluate(arguments):
    return in_environment("evaluate", arguments, "headless", "evaluate")


def bench(arguments):
    return in_environment("bench", arguments, "headless", "evaluate")


def pairs(arguments):
    return in_environment("pairs", arguments, "headless", "evaluate")


def judge(arguments):
    return in_environment("judge", arguments, "headless", "evaluate")


def ledger(arguments):
    return in_environment("ledger", arguments, "headless", "evaluate")


def identify(arguments):
    """Needs nothing but Python, so it runs with the one that is here."""
    return run_here("identify", arguments)


def which_file(arguments):
    """Needs nothing but Python, as identify."""
    return run_here("which-file", arguments)


COMMANDS = {
    "demo": demo,
    "test": test,
    "identify": identify,
    "which-file": which_file,
    "bake": bake,
    "distill": distill,
    "evaluate": evaluate,
    "ledger": ledger,
    "pairs": pairs,
    "judge": judge,
    "bench": bench,
    "train-demo": train_demo,
    "train-demo-students": train_demo_students,
}
# The commands that are a main(arguments) of the pack.
MODULES = {
    "demo": "headless.demo",
    "identify": "headless.identify",
    "which-file": "headless.which_file",
    "bake": "headless.bake",
    "distill": "headless.distill",
    "evaluate": "headless.evaluate",
    "ledger": "headless.ledger",
    "pairs": "headless.pairs",
    "judge": "headless.judge",
    "bench": "headless.bench",
    "train-demo": "demo.train",
    "train-demo-students": "demo.students",
}


def in_environment(command, arguments, *extras):
    """Run a command of the pack with .venv's Python: in this process if it is that one."""
    python = environment.ensure(*extras or ("headless",))
    if Path(sys.prefix).resolve() != environment.FOLDER.resolve():
        return pass_through([python, __file__, command, *arguments])
    return run_here(command, arguments)


def run_here(command, arguments):
    load_pack()
    return importlib.import_module(f"fewstep.{MODULES[command]}").main(arguments)


def load_pack():
    """Import this folder, whatever it is called, as the package fewstep."""
    # Our folders have names that other packages look for, such as evaluate and cache.
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != ROOT]
    spec = importlib.util.spec_from_file_location(
        "fewstep", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["fewstep"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["fewstep"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
