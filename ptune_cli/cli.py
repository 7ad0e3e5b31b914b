"""The `ptune` command: this table, and what every command has in common. Imports the standard library alone: --help is instant.

A command is a frozen dataclass with `run() -> int | None` (None is success). It is built from gin files and flags
(`config`), so the command line, a gin file and Python all configure the same object.
"""

import importlib
import os
import sys

from ptune_cli import __version__
from ptune_cli.errors import USER_ERRNOS, Preempted, RunFailure, UserError, exit_code, nearest

# name -> (module, class, what it does)
COMMANDS = {
    "train": ("ptune_cli.commands.train", "Train", "tune prompts on a frozen T5"),
    "plan": ("ptune_cli.commands.plan", "Plan", "say what a training run will take: memory, time, padding"),
    "eval": ("ptune_cli.commands.eval", "Eval", "score a trained prompt on a task"),
    "ensemble": ("ptune_cli.commands.ensemble", "Ensemble", "score several prompts of a task together"),
    "infer": ("ptune_cli.commands.infer", "Infer", "answer texts with trained prompts, of several tasks in one batch"),
    "inspect": ("ptune_cli.inspection.inspect_prompts", "Inspect", "say what prompts are close to: words, labels, each other"),
    "sweep": ("ptune_cli.sweeps.sweep", "Sweep", "train at every point of a grid, and compare"),
    "transfer": ("ptune_cli.sweeps.transfer", "Transfer", "train on one task, evaluate on others, and compare methods"),
    "launch": ("ptune_cli.commands.launch", "Launch", "run a command as several processes, or on a cluster"),
    "report": ("ptune_cli.commands.report", "Report", "compare finished runs: tables, pictures, a page"),
    "tasks": ("ptune_cli.commands.tasks", "Tasks", "list the tasks, or describe one"),
    "models": ("ptune_cli.commands.models", "Models", "list the models that ship with ptune, or describe one"),
    "convert": ("ptune_cli.commands.convert", "Convert", "turn a model or a prompt into another format"),
    "prompts": ("ptune_cli.commands.prompts", "Prompts", "list prompts, show or compare them, average or interpolate them"),
    "prepare": ("ptune_cli.commands.prepare", "Prepare", "turn tasks into token arrays, ahead of training"),
    "doctor": ("ptune_cli.commands.doctor", "Doctor", "compare a run with the paper's recipe, or check this machine"),
    "pretrain": ("ptune_cli.commands.pretrain", "Pretrain", "train the weights of a T5 itself"),
}

_USAGE = """usage: ptune COMMAND [--gin FILE] [--NAME VALUE] ...

{commands}

ptune COMMAND --help      the flags of a command, and an example
ptune --version           the version

exit codes: 0 done; 1 the run failed; 2 a mistake in what was asked for; 74 one of several processes hung; 75 told to stop
(SIGTERM), and saved (after 74 or 75 run the same command again to go on); 130 interrupted (^C)

for example: ptune train --gin runs/demo.gin --steps 200
"""


def main(argv: list[str] | None = None) -> int:
    """Run a command line; returns the exit code, as `ptune --help` lists them."""
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except (UserError, RunFailure) as error:
        return _say(f"error: {error}", exit_code(error))
    except Preempted as error:
        return _say(str(error), exit_code(error))
    except BrokenPipeError:  # `ptune ... | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in USER_ERRNOS:
            raise
        return _say(f"error: {error.filename or 'writing failed'}: {error.strerror}", exit_code(error))
    except KeyboardInterrupt as error:
        return _say("interrupted", exit_code(error))


def _run(argv: list[str]) -> int:
    if not argv:
        raise UserError("no command", f"see ptune --help {nearest('', COMMANDS)}")
    name, *rest = argv
    if name in ("-h", "--help", "help"):
        print(_USAGE.format(commands="\n".join(f"  {name:<10} {text}" for name, (_, _, text) in COMMANDS.items())), end="")
        return 0
    if name in ("-V", "--version"):
        print(f"ptune {__version__}")
        return 0
    if name not in COMMANDS:
        raise UserError(f"no command '{name}'", nearest(name, COMMANDS))
    return _run_command(name, rest)


def _run_command(name: str, argv: list[str]) -> int:
    """Build the command's object from its files and flags, and run it (or explain it)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's notes about the machine; must be set before JAX is imported
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # so that gin files can import the user's own modules; last, to shadow nothing
    from ptune_cli import config
    from ptune_cli.config import explain, flags

    module, class_name, _ = COMMANDS[name]
    cls = getattr(importlib.import_module(module), class_name)
    arguments = flags.parse(cls, argv)
    if arguments.help:
        print(flags.help_text(name, cls))
        return 0
    resolved = config.resolve(cls, arguments.files, arguments.bindings, arguments.flags, arguments.search_paths)
    if arguments.explain:
        print(explain.as_json(resolved) if arguments.json else explain.table(resolved))
        return 0
    if resolved.unused:
        print(f"ptune: warning: nothing uses {', '.join(resolved.unused)}", file=sys.stderr)
    return resolved.object.run() or 0


def _say(message: str, code: int) -> int:
    """The one line that a command ends with when it cannot finish."""
    print(f"ptune: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
