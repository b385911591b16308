"""`python -m mcml_assets.emulation.strict_gcs.server PORT FOLDER [ACCOUNTS]`: the strict server as a process on loopback.

ACCOUNTS is a file that `tokens.py` reads; each account's bucket is made, sound, at the start. Without it nobody is asked
who they are.
"""

import shutil
import sys
from pathlib import Path

import uvicorn

from mcml_assets.emulation.strict_gcs.api import StrictGcs
from mcml_assets.emulation.strict_gcs.tokens import Tokens, read_accounts

SOUND = {
    "versioning": {"enabled": True},
    "iamConfiguration": {"publicAccessPrevention": "enforced", "uniformBucketLevelAccess": {"enabled": True}},
}


def main(arguments: list[str]) -> None:
    """Serve until SIGTERM; what a former process stored in the folder is gone, as its generations are."""
    port, folder, *accounts_file = arguments
    content = Path(folder)
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir(parents=True)
    accounts = read_accounts(Path(accounts_file[0])) if accounts_file else None
    service = StrictGcs(content, Tokens(accounts) if accounts is not None else None)
    for account in (accounts or {}).values():
        if account.bucket != "*":
            service.make_bucket(account.bucket, dict(SOUND))
    # One event loop: what is compared and what is stored cannot be torn apart.
    uvicorn.run(
        service, host="127.0.0.1", port=int(port), workers=1, log_level="warning", server_header=False,
        lifespan="off", timeout_graceful_shutdown=2,
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
