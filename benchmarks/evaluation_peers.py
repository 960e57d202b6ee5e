"""One evaluation, beside other libraries, which have an environment of their own (`.venv-peers`)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv-peers" / "bin" / "python"


def main() -> None:
    """Print the time of each library, and this SDK's over it."""
    print("evaluation beside other libraries", flush=True)
    if not PEERS.exists():
        sys.exit(f"The peers are not installed ({PEERS} is missing); run 'make bench' or 'make peers'.")
    subprocess.run([PEERS, "-m", "benchmarks.peers.evaluation"], cwd=ROOT, check=True)
