"""Power: how many units and days a plan needs, and how small an effect it can find, before it starts."""
