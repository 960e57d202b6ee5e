"""What the processes of the load agree on."""

EXPERIMENT = "load"
EVENTS_A_UNIT = 4
