"""Write original_index.json: length, hash and definitions of every file of the original.

A definition is its name and its first and last line; no code. Needs Python 3.8 or newer for those:
``python -m parity.record.index_original REF GYM_FOLDER OUT``.
"""

import ast
import hashlib
import json
import os
import subprocess
import sys


def definitions(tree, prefix=''):
    """Return [first, last] line of every function and class by dotted name.

    A name that comes again gets a prime.
    """
    out = {}
    for n in getattr(tree, 'body', []):
        if isinstance(n, (ast.FunctionDef, ast.ClassDef)):
            name = prefix + n.name
            while name in out:
                name += "'"
            out[name] = [min([n.lineno] + [d.lineno for d in n.decorator_list]), n.end_lineno]
            out.update(definitions(n, name + '.'))
    return out


def entry(path):
    """Return length, hash and definitions of one file."""
    src = open(path, 'rb').read()
    return {
        'lines': len(src.decode().splitlines()),
        'sha256': hashlib.sha256(src).hexdigest(),
        'definitions': definitions(ast.parse(src)),
    }


ref, gym, out = sys.argv[1:]
repos = {}
for name, folder, files in (
    ('mopo', ref + '/mopo', None),
    (
        'd4rl',
        ref + '/d4rl',
        [
            'd4rl/__init__.py',
            'd4rl/infos.py',
            'd4rl/offline_env.py',
            'd4rl/gym_mujoco/__init__.py',
            'd4rl/gym_mujoco/gym_envs.py',
            'd4rl/utils/wrappers.py',
        ],
    ),
    (
        'gym',
        gym,
        [
            'gym/envs/mujoco/%s.py' % f
            for f in ('mujoco_env', 'half_cheetah', 'hopper', 'walker2d', 'ant')
        ],
    ),
):
    if files is None:
        files = subprocess.check_output(['git', '-C', folder, 'ls-files', '*.py']).decode().split()
    repos[name] = {f: entry(os.path.join(folder, f)) for f in files}
json.dump(
    {
        'mopo': {
            'repository': 'tianheyu927/mopo',
            'commit': 'e5efe3eaa548850af109c920bfc2c1ec96bf2285',
            'files': repos['mopo'],
        },
        'd4rl': {
            'repository': 'rail-berkeley/d4rl',
            'commit': subprocess.check_output(['git', '-C', ref + '/d4rl', 'rev-parse', 'HEAD'])
            .decode()
            .strip(),
            'files': repos['d4rl'],
        },
        'gym': {'package': 'gym', 'version': '0.17.3', 'files': repos['gym']},
    },
    open(out, 'w'),
    indent=1,
    sort_keys=True,
)
