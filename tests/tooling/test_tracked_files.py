"""No tracked text file names a package registry or a path of one machine."""

import re
import subprocess

import pytest

from tests.tooling.project import ROOT

# Put together from parts, so that this file passes its own test.
REGISTRY = "|".join(["p[y]pi", "pythonhost" + "ed", "anaconda" + r"\.(org|com)"])
FORBIDDEN = {
    "a package registry": re.compile(rf"\b({REGISTRY})\b", re.IGNORECASE),
    "a registry's address": re.compile(r"https?://\S*/[s]imple\b"),
    "a machine's own path": re.compile(r"(?<![\w.~$}/-])/(tm[p]|roo[t]|hom[e]|wor[k])/[\w.]"),
    "a file address": re.compile(r"\bfil[e]://"),
}


def project_files():
    """Names of the tracked files and of the new ones that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listing.stdout.split("\0") if (ROOT / name).is_file()]


def findings(text):
    return [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {what}: {match.group()}"
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
    ]


def test_no_file_names_a_registry_or_a_path_of_one_machine():
    faults = []
    for name in project_files():
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a recording, a picture, a dataset
        faults += [f"{name}, {finding}" for finding in findings(text)]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "text",
    [
        "index-url = https://" + "py" + "pi.org/" + "simple",
        "https://mirror.example/" + "simple/numpy",
        "open('/" + "tmp/run1/progress.csv')",
        "see /" + "home/user/data",
        "find-links = file" + ":///opt/wheels",
    ],
)
def test_the_patterns_find_what_must_not_be_written(text):
    assert findings(text)
