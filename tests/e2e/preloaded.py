"""All that commands import, imported once: see `command`."""

from importlib import import_module

for name in (
    "executor.apply.scheduler",
    "executor.cli.main",
    "executor.cli.render.data",
    "executor.cli.render.markdown",
    "executor.cli.render.text",
    "executor.context",
    "executor.engines.select",
    "executor.observe.cache",
    "executor.observe.trees",
    "executor.records.store",
    "executor.registry.client",
    "executor.registry.lookup",
    "executor.registry.marks",
    "docker",
    "cattrs",
    "dxf",
    "filelock",
    "requests",
    "rich.console",
    "tomlkit",
    *(
        f"executor.cli.commands.{name}"
        for name in ("apply", "builds", "diff", "lock", "outdated", "plan", "show")
    ),
):
    import_module(name)
