"""A storefront's backend, in small: 4,000 visitors, a landing page under test, some of them buy.

Needs a running service with a started experiment `new-landing-page`, and its address and key in
EQUIPOISE_URL and EQUIPOISE_KEY.
"""

import os
import random
import sys

from equipoise import Client

VISITORS = 4_000
# What the visitors do, which the experiment does not know: the new page sells better.
CHANCE_TO_BUY = {"old_page": 0.10, "new_page": 0.15}


def main() -> None:
    """Serve the visitors and report what was delivered."""
    client = Client(os.environ["EQUIPOISE_URL"], os.environ["EQUIPOISE_KEY"])
    if not client.wait_ready(timeout=10):
        sys.exit("The service does not answer, or the key is wrong: see the log above.")
    for visitor in range(VISITORS):
        unit = f"visitor-{visitor}"
        # The decision point: the visitor is about to see a page, so this logs the exposure too.
        page = client.variant("new-landing-page", unit, default="old_page").value
        if random.random() < CHANCE_TO_BUY[page]:
            client.track("purchase", unit, value=round(random.uniform(10, 90), 2))
    client.close(timeout=30)
    counters = client.counters
    print(f"{counters.accepted:,} exposures and events accepted, {counters.logged:,} logged")


if __name__ == "__main__":
    main()
