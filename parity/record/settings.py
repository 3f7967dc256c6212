"""The command line of a recording, read on import because every case depends on it.

Importing this module changes into the checkout of the original, ``$REF/mopo``, from whose folder
its configurations and files are found.
"""

import argparse
import os

parser = argparse.ArgumentParser(
    prog='python -m parity.record',
    description='Record what the original TF1 MOPO computes. REF names the folder that holds mopo.',
)
parser.add_argument('out', help='folder for the recordings')
parser.add_argument(
    '--data',
    default='data',
    help='folder with DOMAIN_random_5k.hdf5 of hopper, halfcheetah and walker2d (collect_random)',
)
parser.add_argument(
    '--seed', type=int, default=0, help='changes every draw: another seed gives another, unseen set'
)
parser.add_argument('--only', nargs='*', help='names of cases; the others are left as they are')
parser.add_argument(
    '--threads', type=int, default=1, help='0: the default of TensorFlow, as the original runs'
)
ARGUMENTS = parser.parse_args()
OUT = os.path.abspath(ARGUMENTS.out)
DATA = os.path.abspath(ARGUMENTS.data)
SEED = ARGUMENTS.seed
REPO = os.path.join(os.environ['REF'], 'mopo')
os.makedirs(OUT, exist_ok=True)
os.chdir(REPO)
