"""Peers of the benchmarks: tools that do the same work, each subject's in an environment of its own.

They are heavy, and disagree with each other and with the platform about versions, so they are in no lock of the project.
`<subject>.in` names a subject's peers with lower bounds, `<subject>.txt` is its lock, made by

    uv pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 <subject>.in -o <subject>.txt

Programs that run inside such an environment are `<subject>_<peer>.py`; they print one JSON document.
"""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from mcml_assets.configuration.settings import PROJECT_ROOT

FOLDER = Path(__file__).parent


def peer_python(subject: str) -> Path:
    """The interpreter of a subject's environment, installed from its lock where it is not there yet or out of date."""
    lock = FOLDER / f"{subject}.txt"
    environment = PROJECT_ROOT / "build" / "bench" / f"peers-{subject}"
    python, stamp = environment / "bin" / "python", environment / ".lock"
    digest = sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"Installing the peers of {subject} from {lock.name} into {environment}")  # noqa: T201 - takes minutes
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], check=True)
        install = ["pip", "sync", "--quiet", "--compile-bytecode", "--require-hashes", "--python", str(python), str(lock)]
        subprocess.run([uv, *install], check=True)
        stamp.write_text(digest)
    return python


def ask_peer(subject: str, program: str, *arguments: str) -> Any:
    """What `<subject>_<program>.py` prints when it runs in the subject's environment."""
    command = [str(peer_python(subject)), "-W", "ignore", str(FOLDER / f"{subject}_{program}.py"), *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"{program} failed:\n{finished.stdout[-2000:]}\n{finished.stderr[-4000:]}")
    return json.loads(finished.stdout.splitlines()[-1])
