import os
import subprocess

from pickcell.setup import wheel_patch, workspace
from pickcell.setup.environment import changed_variables, export_lines, process_environment
from pickcell.setup.layout import Layout, find_root


def main(argv):
    layout = Layout(find_root())
    if argv[0] == "env":
        print(export_lines(changed_variables(layout, os.environ)))
        return 0
    if argv[0] == "build":
        n = wheel_patch.apply_patch(layout.venv, layout.python)
        env = process_environment(layout, os.environ)
        skipped = workspace.skipped_packages(layout, env)
        return subprocess.run(workspace.build_command(layout, skipped, argv[1:]), cwd=layout.workspace, env=env).returncode
